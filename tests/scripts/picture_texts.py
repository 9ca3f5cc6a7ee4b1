"""Reads an SVG picture with Python's XML parser: its root must be an svg, and the words in it must have the given ones.

Usage: picture_texts.py FILE WORDS...
"""

import sys
import xml.etree.ElementTree as ElementTree

SVG = "{http://www.w3.org/2000/svg}"

root = ElementTree.parse(sys.argv[1]).getroot()
assert root.tag == SVG + "svg", root.tag
texts = " ".join(" ".join(text.itertext()).strip() for text in root.iter(SVG + "text"))
for words in sys.argv[2:]:
    assert words in texts, f"{words!r} is not in {texts!r}"
assert any(len(line.get("points").split()) > 2 for line in root.iter(SVG + "polyline")), "no curve"
