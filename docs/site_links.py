"""Check the built site: every link leads somewhere, and nothing is loaded from elsewhere.

Usage: ``python docs/site_links.py site``. Prints what is wrong and ends with 1 if anything is.
"""

import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src")}
LOADED_LINKS = {"stylesheet", "icon", "preload", "preconnect", "modulepreload"}


class Page(HTMLParser):
    """Links, what is loaded, and anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Collect what a tag links to, loads and names."""
        found = {name: value or "" for name, value in attributes}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        is_loaded = tag == "link" and LOADED_LINKS & set(found.get("rel", "").split())
        self.loaded += [found[name] for name in found if (tag, name) in LOADED or (is_loaded and name == "href")]
        if tag == "a" and "href" in found:
            self.links.append(found["href"])


@cache
def page_at(file: Path) -> Page:
    """The page in a file, read once."""
    return Page(file.read_text(encoding="utf-8"))


def wrong_on(file: Path) -> list[str]:
    """What is wrong on a page, one line each."""
    page = page_at(file)
    elsewhere = [f"loads {address}" for address in page.loaded if urlsplit(address).netloc]
    return elsewhere + [f"links to {link}" for link in page.links + page.loaded if not leads_somewhere(file, link)]


def leads_somewhere(file: Path, link: str) -> bool:
    """Whether a link has a file in the site, and that file the anchor; other sites are not asked."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return False
    return not parts.fragment or target.suffix != ".html" or unquote(parts.fragment) in page_at(target).anchors


def main(site: Path) -> None:
    """Print what is wrong in a site."""
    # 404.html is shown at any address, so its links are those of the top; reports of runs are not the manual's.
    pages = [file for file in sorted(site.resolve().rglob("*.html")) if file.name != "404.html"]
    manual = [file for file in pages if "reports" not in file.relative_to(site.resolve()).parts]
    wrong = {file: wrong_on(file) for file in manual}
    for file, lines in wrong.items():
        for line in lines:
            print(f"{file.relative_to(site.resolve())}: {line}")
    n_wrong = sum(map(len, wrong.values()))
    n_links = sum(len(page_at(file).links) for file in manual)
    print(f"{len(manual)} pages, {n_links} links, {n_wrong} wrong")
    sys.exit(n_wrong > 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
