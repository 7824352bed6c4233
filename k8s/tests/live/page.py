"""A dashboard as one page that loads nothing: its picture as SVG, and the way to the others."""

import html

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ margin: 0; background: #f3f4f6; font: 15px/1.4 "DejaVu Sans", Verdana, sans-serif; }}
nav {{ padding: 12px 24px; background: #1f2430; }}
nav a {{ margin-right: 24px; color: #cdd3dd; text-decoration: none; }}
nav a[aria-current] {{ color: white; font-weight: bold; }}
svg {{ display: block; width: 100%; max-width: 1816px; height: auto; margin: 0 auto; }}
</style>
<nav>{links}</nav>
{picture}
</html>
"""


def page(name, title, names, svg):
    """The page of one dashboard among others."""
    links = (f'<a href="{each}.html"{" aria-current=page" if each == name else ""}>{each.capitalize()}</a>' for each in names)
    return PAGE.format(title=html.escape(title), links="".join(links), picture=svg[svg.index("<svg"):])
