"""The report: a page with grids and numbers for a browser."""

import base64
import html
import io
import pathlib

import numpy as np
from PIL import Image

from table import rows

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 72em; padding: 0 1em }
table { border-collapse: collapse; margin: 1em 0 } td, th { padding: .2em .8em .2em 0; text-align: left }
.grid { display: flex; flex-wrap: wrap; gap: 1em } figure { margin: 0 } figcaption { font-size: 12px; max-width: 30em }
img { margin-right: 2px }
"""


def figure_image(image: np.ndarray) -> str:
    data = io.BytesIO()
    Image.fromarray(image).save(data, "PNG")
    return f'<img src="data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}">'


def figure(text: str, *images: np.ndarray) -> str:
    return f"<figure>{''.join(map(figure_image, images))}<figcaption>{html.escape(text)}</figcaption></figure>"


def section(heading: str, said: str, figures: list[str]) -> str:
    return f"<h2>{heading}</h2><p>{said}</p><div class=grid>{''.join(figures)}</div>"


def write(path: pathlib.Path, figures: dict) -> None:
    cells = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows(figures)
    )
    base, control, concepts = figures["base"], figures["control"], figures["concepts"]
    parts = [
        section(f"The base, {title}", "Drawn; and a real image as the previewer shows it.",
                [figure(text, made, real) for text, made, real in base[name]["shown"]])
        for name, title in (("seen", "pairs of training"), ("pairs", "pairs never seen"))
    ]  # fmt: skip
    parts.append(section(
        "ControlNet, subjects never seen", "Original; under its edges; under another image's; under none.",
        [figure(text, *images) for text, *images in control["shown"]],
    ))  # fmt: skip
    for subject, original, made in concepts["shown"]:
        parts.append(section(
            f"Token for: {html.escape(subject)}",
            "The subject; with the token; with the initial word; unrelated prompts before and after.",
            [figure("the subject", original), figure("token", *made["token"]), figure("initial word", *made["word"]),
             figure("before", *made["before"]), figure("after", *made["after"])],
        ))  # fmt: skip
    path.write_text(
        f"<!doctype html><meta charset=utf-8><title>Quality</title><style>{STYLE}</style>"
        f"<h1>Quality of the miniature</h1>"
        f"<table><tr><th>what<th>mean, 95 % interval<th>bar<th></tr>{cells}</table>{''.join(parts)}"
    )
