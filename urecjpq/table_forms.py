"""A table of texts in the forms it is read in: terminal, Markdown, LaTeX."""

from collections.abc import Sequence

Rows = Sequence[Sequence[str]]
# Backslash first: what the others become has backslashes of its own.
LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
    "…": r"\ldots{}",
}


def as_text(titles: Sequence[str], rows: Rows, notes: Sequence[str]) -> str:
    """Return a table for a terminal, names to the left and numbers to the right."""
    table = [titles, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in table
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:], "", *notes, ""])


def as_markdown(titles: Sequence[str], rows: Rows, notes: Sequence[str]) -> str:
    """Return a table in Markdown; stars are escaped, or they would mean bold."""
    rule = ["---", *["---:"] * (len(titles) - 1)]
    cells = [[cell.rstrip().replace("|", "\\|") for cell in row] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in (titles, rule, *cells)]
    listed = [f"- {note}" for note in notes]
    return "\n".join([*lines, "", *listed, ""]).replace("*", "\\*")


def as_latex(titles: Sequence[str], rows: Rows, notes: Sequence[str]) -> str:
    """Return a ``tabular`` with the rules of the package booktabs, and the notes below it."""
    columns = "l" + "r" * (len(titles) - 1)
    head, *body = [
        " & ".join(_latex(cell.rstrip()) for cell in row) + r" \\" for row in (titles, *rows)
    ]
    table = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body]
    below = [r"\bottomrule", r"\end{tabular}", "", *(_latex(note) + r"\\" for note in notes)]
    return "\n".join(["% needs \\usepackage{booktabs}", *table, *below, ""])


def _latex(text: str) -> str:
    stem = text.rstrip("*")
    stars = len(text) - len(stem)
    escaped = "".join(LATEX.get(sign, sign) for sign in stem)
    return escaped + (f"$^{{{'*' * stars}}}$" if stars else "")
