"""The dashboards against the running pipeline: what runs, what is asked, and how the answers are drawn."""
