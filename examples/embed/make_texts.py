"""Makes texts.jsonl: the paragraphs of this project's documents, each with its page and heading.

    python3 examples/embed/make_texts.py
"""
import json
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent


def paragraphs(path: pathlib.Path):
    """Heading and text of each paragraph of prose; code and tables are left out."""
    heading = path.stem
    text = re.sub(r"(?ms)^```.*?^```", "", path.read_text())
    for block in re.split(r"\n\s*\n", text):
        block = " ".join(block.split())
        if block.startswith("#"):
            heading = block.lstrip("# ")
        elif len(block) >= 60 and not block.startswith(("|", "<!--", "[", "- [")):
            # Links become what they say.
            yield heading, re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", block)


def main() -> None:
    lines = []
    for path in sorted((HERE / "../../docs").glob("*.md")):
        for number, (heading, text) in enumerate(paragraphs(path)):
            row = {"id": f"{path.stem}-{number}", "page": path.name, "heading": heading, "text": text}
            lines.append(json.dumps(row, ensure_ascii=False))
    (HERE / "texts.jsonl").write_text("\n".join(lines) + "\n")


main()
