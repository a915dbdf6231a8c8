"""Every call and name of the watched packages in the project's own source, found with `ast`."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fixtures import ROOT


@dataclass(frozen=True)
class Use:
    """One use of a package. `path` is dotted ("onnxruntime.InferenceSession.run"), `where` the file and line.

    `starred`: there is a `*` or `**` among the arguments, whose content only a table can tell. `guarded`: the code asks
    first whether the name is there (`hasattr`). `bound`: it is called on an instance, or it is a class.
    """

    path: str
    where: str
    called: bool = False
    positional: int = 0
    keywords: tuple[str, ...] = ()
    starred: bool = False
    guarded: bool = False
    bound: bool = False


@dataclass(frozen=True)
class Receiver:
    """What the expression `text` in `file` is an instance of: what `ast` alone cannot see of values that are `Any`."""

    file: str
    text: str
    of: str


class _Scope(dict[str, str]):
    """Names and attributes that hold an instance: their text → the class."""


class Finder(ast.NodeVisitor):
    """Walks one file. `found` are its uses; `used` those receivers that it met."""

    def __init__(self, name: str, packages: Mapping[str, str], receivers: Mapping[str, str]) -> None:
        self._name = name
        self._packages = packages
        self._receivers = receivers
        self._imports: dict[str, str] = {}
        self._instances = [_Scope()]
        self._returns: dict[str, str] = {}
        self._asked: list[set[str]] = [set()]
        self.found: list[Use] = []
        self.used: set[str] = set()

    def run(self, tree: ast.Module) -> None:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name.split(".")[0] in self._packages:
                        self._imports[alias.asname or alias.name.split(".")[0]] = (
                            alias.name if alias.asname else alias.name.split(".")[0]
                        )
            elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in self._packages:
                for alias in node.names:
                    path = f"{node.module}.{alias.name}"
                    self._imports[alias.asname or alias.name] = path
                    self.found.append(Use(path, f"{self._name}:{node.lineno}"))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.returns is not None and (path := self._path(node.returns)):
                self._returns[node.name] = path
        self.visit(tree)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._instances.append(_Scope())
        self._asked.append(
            {
                str(each.args[1].value)
                for each in ast.walk(node)
                if isinstance(each, ast.Call)
                and ast.unparse(each.func) in ("hasattr", "getattr")
                and len(each.args) > 1
                and isinstance(each.args[1], ast.Constant)
            }
        )
        for argument in node.args.args + node.args.kwonlyargs:
            if argument.annotation is not None and (path := self._path(argument.annotation)):
                self._instances[-1][argument.arg] = path
        self.generic_visit(node)
        self._instances.pop()
        self._asked.pop()

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        made = self._instance(node.value)
        for target in node.targets:
            text = ast.unparse(target)
            if made:
                # What hangs on self is there for all methods.
                self._instances[0 if text.startswith("self.") else -1][text] = made
            self.visit(target)

    def visit_With(self, node: ast.With) -> None:
        for item in node.items:
            if item.optional_vars is not None and (made := self._instance(item.context_expr)):
                self._instances[-1][ast.unparse(item.optional_vars)] = made
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if path := self._path(node.func):
            keywords = tuple(each.arg for each in node.keywords if each.arg is not None)
            starred = len(keywords) < len(node.keywords) or any(isinstance(each, ast.Starred) for each in node.args)
            positional = sum(not isinstance(each, ast.Starred) for each in node.args)
            bound = isinstance(node.func, ast.Attribute) and bool(self._instance(node.func.value))
            self._add(path, node, called=True, positional=positional, keywords=keywords, starred=starred, bound=bound)
            if isinstance(node.func, ast.Attribute):
                self.visit(node.func.value)
        elif of := self._instance(node.func):
            keywords = tuple(each.arg for each in node.keywords if each.arg is not None)
            self._add(f"{of}.__call__", node, called=True, positional=len(node.args), keywords=keywords, bound=True)
        else:
            self.visit(node.func)
        for each in (*node.args, *node.keywords):
            self.visit(each)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if path := self._path(node):
            self._add(path, node)
        self.visit(node.value)

    def _add(self, path: str, node: ast.expr, **more: object) -> None:
        guarded = path.rpartition(".")[2] in self._asked[-1]
        self.found.append(Use(path, f"{self._name}:{node.lineno}", guarded=guarded, **more))  # type: ignore[arg-type]

    def _path(self, node: ast.expr) -> str:
        """The dotted path of an expression in a watched package; empty where it is none."""
        if isinstance(node, ast.Name):
            return self._imports.get(node.id, "")
        if isinstance(node, ast.Attribute) and (owner := self._instance(node.value) or self._path(node.value)):
            return f"{owner}.{node.attr}"
        return ""

    def _instance(self, node: ast.expr) -> str:
        """The class that an expression is an instance of; empty where nobody says."""
        text = ast.unparse(node)
        if text in self._receivers:
            self.used.add(text)
            return self._receivers[text]
        for scope in reversed(self._instances):
            if text in scope:
                return scope[text]
        if isinstance(node, ast.Call):
            path = self._path(node.func)
            if path.rpartition(".")[2][:1].isupper():  # by the usual style, a class
                return path
            return self._returns.get(ast.unparse(node.func), "")
        return ""


@dataclass(frozen=True)
class Survey:
    """All uses of a set of files, and the receivers of the table that no file has any more."""

    uses: tuple[Use, ...]
    stale: tuple[Receiver, ...]


def survey(files: Iterator[Path], packages: Mapping[str, str], receivers: tuple[Receiver, ...]) -> Survey:
    """The uses of `packages` (names by which they are imported) in `files`."""
    uses: list[Use] = []
    met: set[tuple[str, str]] = set()
    for file in files:
        name = str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else file.name
        finder = Finder(name, packages, {each.text: each.of for each in receivers if each.file == name})
        finder.run(ast.parse(file.read_text(encoding="utf-8")))
        uses += finder.found
        met |= {(name, text) for text in finder.used}
    stale = tuple(each for each in receivers if (each.file, each.text) not in met)
    return Survey(tuple(uses), stale)
