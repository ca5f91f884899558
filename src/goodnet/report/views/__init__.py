"""From facts to what each part of the page says: plain data that the templates lay out."""
