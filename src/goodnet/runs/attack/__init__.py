"""The job of making a BadNet: where its images come from, what is planted, and its card."""
