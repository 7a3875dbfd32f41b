"""A page for a browser, made from a template."""

from __future__ import annotations

from .repository import plain_text


def html_page(template: str, **values: object) -> str:
    """Return the page of a template below `templates/`; all values are escaped, unless the template says otherwise."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # keeps jinja2 out of the start

    environment = Environment(
        loader=PackageLoader("caffe_lint.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return plain_text(environment.get_template(template).render(values))
