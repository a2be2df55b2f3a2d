"""What mkdocs.yml needs beyond its plugins (https://www.mkdocs.org/user-guide/configuration/#hooks).

- The command line's reference is generated from the commands themselves.
- Some files of the repository are pages of the site too, and links to others are checked.
- Diagrams are drawn by a mermaid of our own, which `make docs` takes from npm, so that a reader's
  browser asks nobody else for it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from typer.cli import get_docs_for_click

from audiodec.cli.main import app

ROOT = Path(__file__).parents[1]
MERMAID = ROOT / "build" / "site-tools" / "package" / "dist" / "mermaid.min.js"
MERMAID_URL = "javascripts/mermaid.min.js"
CLI_PAGE = "reference/cli.md"
NAME = "audiodec"
PAGES = {  # file of the repository: page of the site
    "src/audiodec/models/speech-48k/MODEL_CARD.md": "model-card.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
# A Markdown link to a file: not to an address, not within the page.
LINK = re.compile(r"(\]\()(?![a-z]+:|#|/)([^)#\s]+)((?:#[^)\s]*)?\))")
NOT_A_PAGE = re.compile(r"<!-- run: .*? -->\n")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    files.append(File.generated(config, CLI_PAGE, content=command_line()))
    if not MERMAID.is_file():
        raise PluginError(f"{MERMAID} is not there: `make docs` fetches it")
    files.append(File.generated(config, MERMAID_URL, abs_src_path=str(MERMAID)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to files outside docs/ lead to the pages that show them."""
    uri = page.file.src_uri
    source = next((s for s, p in PAGES.items() if p == uri), f"docs/{uri}")

    def repoint(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[2]))
        if target.startswith("docs/"):
            found = target.removeprefix("docs/")
        elif target in PAGES:
            found = PAGES[target]
        else:
            raise PluginError(f"{source}: {match[2]} is neither in docs/ nor in PAGES")
        return f"{match[1]}{posixpath.relpath(found, posixpath.dirname(uri) or '.')}{match[3]}"

    return LINK.sub(repoint, NOT_A_PAGE.sub("", markdown))


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Mermaid on the pages that have diagrams."""
    if 'class="mermaid"' not in output:
        return output
    url = posixpath.relpath(MERMAID_URL, posixpath.dirname(page.file.dest_uri) or ".")
    return output.replace("</head>", f'<script src="{url}"></script></head>')


def command_line() -> str:
    """Every command with its arguments and options, as typer documents it."""
    command = typer.main.get_command(app)
    write_out(command)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name=NAME), name=NAME)
    return text.replace(f"# `{NAME}`\n", "# Command line\n", 1).replace("```console\n$ ", "```sh\n")


def write_out(command: Any) -> None:
    """Let lists of commands have their whole first paragraph: click would cut it at 45 letters."""
    command.short_help = " ".join((command.help or "").split("\n\n")[0].split())
    for below in getattr(command, "commands", {}).values():
        write_out(below)
