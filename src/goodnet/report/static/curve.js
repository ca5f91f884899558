"use strict";
// The pruning curve: which network an allowed drop gives.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const all = (selector, root) => [...root.querySelectorAll(selector)];
  const numbers = (text) => text.split(" ").map(Number);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  // Whole numbers: X in tenths of a point, images lost; as exact as the program itself.
  function stepsTo(curve, tenths) {
    const step = curve.lost.findIndex((lost) => lost * 1000 >= tenths * curve.total);
    return step < 0 ? null : step;
  }

  function largestLoss(curve, step) {
    return Math.max(0, ...curve.lost.slice(0, step + 1));
  }

  // The drop at which exactly this much has been lost, rounded down so that it is surely reached.
  function tenthsAt(curve, step) {
    return Math.floor((largestLoss(curve, step) * 1000) / curve.total);
  }

  class Plot {
    constructor(svg) {
      this.svg = svg;
      this.plot = numbers(svg.dataset.plot); // left, top, width, height
      this.x = numbers(svg.dataset.x);
      this.y = numbers(svg.dataset.y);
      this.choice = this.layer("choice");
      this.pointer = this.layer("pointer");
    }

    layer(name) {
      const group = document.createElementNS(SVG, "g");
      group.setAttribute("class", name);
      this.svg.append(group);
      return group;
    }

    left(share) {
      const [start, end] = this.x;
      return this.plot[0] + ((share - start) / (end - start)) * this.plot[2];
    }

    top(value) {
      const [low, high] = this.y;
      return this.plot[1] + ((high - value) / (high - low)) * this.plot[3];
    }

    // The share of channels under the pointer, in percent.
    shareAt(event) {
      const box = this.svg.getBoundingClientRect();
      const inside = ((event.clientX - box.left) / box.width) * this.svg.viewBox.baseVal.width;
      const [start, end] = this.x;
      return start + ((inside - this.plot[0]) / this.plot[2]) * (end - start);
    }

    draw(group, shapes) {
      group.replaceChildren(...shapes.map(([tag, attributes]) => {
        const shape = document.createElementNS(SVG, tag);
        Object.entries(attributes).forEach(([key, value]) => shape.setAttribute(key, value));
        return shape;
      }));
    }

    upright(share) {
      const [, top, , height] = this.plot;
      const x = this.left(share);
      return ["line", { x1: x, x2: x, y1: top, y2: top + height }];
    }

    floor(value) {
      const [left, , width] = this.plot;
      const y = this.top(value);
      return ["line", { class: "floor", x1: left, x2: left + width, y1: y, y2: y }];
    }

    dots(curve, step, r) {
      const cx = this.left(shareOf(curve, step));
      const values = curve.series.map((series) => series.values[step]);
      return values.filter((v) => v !== null).map((v) => ["circle", { cx, cy: this.top(v), r }]);
    }
  }

  const withoutInterval = (text) => text.split("\u00a0[")[0];
  const shareOf = (curve, step) => (100 * step) / curve.width;

  class Explorer {
    constructor(root) {
      this.root = root;
      this.data = JSON.parse(root.querySelector("script").textContent);
      this.slider = root.querySelector("input");
      this.output = root.querySelector("output");
      this.tip = root.querySelector(".tip");
      this.readouts = all(".readout", root);
      this.plots = all(".chart svg", root).map((svg) => new Plot(svg));
      this.plots.forEach((plot) => this.listen(plot));
      this.slider.addEventListener("input", () => this.choose(Math.round(this.slider.value * 10)));
      root.querySelector(".controls").hidden = false;
      root.classList.add("live");
      this.choose(Math.round(this.data.start * 10));
    }

    listen(plot) {
      plot.svg.addEventListener("pointerdown", (event) => {
        if (event.button === 0) {
          plot.svg.setPointerCapture(event.pointerId);
          this.move(plot, event);
        }
      });
      plot.svg.addEventListener("pointermove", (event) => this.move(plot, event));
      plot.svg.addEventListener("pointerleave", () => this.leave(plot));
      plot.svg.addEventListener("pointercancel", () => this.leave(plot));
    }

    move(plot, event) {
      const step = this.stepAt(plot, event);
      if (event.buttons & 1) {
        this.choose(tenthsAt(this.data.curves[0], step));
      }
      this.point(plot, step, event);
    }

    leave(plot) {
      plot.draw(plot.pointer, []);
      this.tip.hidden = true;
    }

    stepAt(plot, event) {
      const curve = this.data.curves[0];
      const step = Math.round((plot.shareAt(event) / 100) * curve.width);
      return clamp(step, 0, curve.channels.length);
    }

    // Show the step under the pointer.
    point(plot, step, event) {
      const curves = this.data.curves.filter((curve) => step <= curve.channels.length);
      const dots = curves.flatMap((curve) => plot.dots(curve, step, 3.5));
      plot.draw(plot.pointer, [plot.upright(shareOf(this.data.curves[0], step)), ...dots]);
      this.tip.replaceChildren(...this.tipLines(curves, step).map(([tag, text]) => {
        const line = document.createElement(tag);
        line.textContent = text;
        return line;
      }));
      this.tip.hidden = false;
      this.place(event);
    }

    tipLines(curves, step) {
      return curves.flatMap((curve) => [
        ["strong", this.stepTitle(curve, step)],
        ...curve.series.map(({ label, texts }) => ["span", `${label} ${withoutInterval(texts[step])}`]),
      ]);
    }

    stepTitle(curve, step) {
      const order = this.data.curves.length > 1 ? ` (${curve.order})` : "";
      return step === 0
        ? `Step 0: nothing silenced${order}`
        : `Step ${step} of ${curve.channels.length}: channel ${curve.channels[step - 1]}${order}`;
    }

    place(event) {
      const box = this.root.getBoundingClientRect();
      const { offsetWidth: width, offsetHeight: height } = this.tip;
      const x = event.clientX - box.left;
      const left = x + 16 + width > box.width ? x - 16 - width : x + 16;
      this.tip.style.left = `${clamp(left, 0, Math.max(box.width - width, 0))}px`;
      this.tip.style.top = `${Math.max(event.clientY - box.top - height - 12, 0)}px`;
    }

    // Show the network that an allowed drop gives; tenths of a point.
    choose(tenths) {
      const steps = this.data.curves.map((curve) => stepsTo(curve, tenths));
      const drop = (tenths / 10).toFixed(1);
      this.slider.value = drop;
      this.slider.setAttribute("aria-valuetext", `${drop} points, ${this.silenced(0, steps[0])}`);
      setText(this.output, `${drop} points`);
      this.plots.forEach((plot) => this.mark(plot, steps, tenths / 10));
      steps.forEach((step, i) => this.tell(i, step, drop));
    }

    mark(plot, steps, drop) {
      const start = this.data.curves[0].series[0].values[0];
      const shapes = start === null ? [] : [plot.floor(start - drop)];
      steps.forEach((step, i) => {
        const curve = this.data.curves[i];
        if (step !== null) {
          shapes.push(plot.upright(shareOf(curve, step)), ...plot.dots(curve, step, 4.5));
        }
      });
      plot.draw(plot.choice, shapes);
    }

    silenced(i, step) {
      const { never } = this.data.words;
      return step === null ? never : `${step} of ${this.data.curves[i].width}`;
    }

    tell(i, step, drop) {
      const curve = this.data.curves[i];
      const { nothing, unsaved } = this.data.words;
      const values = [
        this.silenced(i, step),
        ...curve.series.map((series) => (step === null ? nothing : series.texts[step])),
        curve.saved[step] ?? unsaved,
      ];
      setText(this.readouts[i].querySelector(".drop"), drop);
      all("dd", this.readouts[i]).forEach((cell, k) => setText(cell, values[k]));
    }
  }

  function setText(element, text) {
    if (element.textContent !== text) {
      element.textContent = text;
    }
  }

  all("[data-curve]", document).forEach((root) => new Explorer(root));
})();
