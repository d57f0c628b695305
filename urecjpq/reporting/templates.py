"""Pages from the templates beside the package's code."""

from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "templates"


def render_template(name: str, **content: Any) -> str:
    """Return a page of ``templates/`` with its content; texts are escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name).render(content)
