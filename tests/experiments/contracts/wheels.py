"""Wheels as pip's index offers them, and what their sources define. Nothing in them is imported or run."""

import ast
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

# Any of these will do, as nothing is run; the first tag that a wheel has is one of them.
GLIBC = ("2_12", "2_17", "2_24", "2_27", "2_28", "2_31", "2_34", "2_35")
PLATFORMS = (*(f"manylinux_{version}_x86_64" for version in GLIBC), "manylinux2010_x86_64", "manylinux2014_x86_64")
# Longest first: the first is the newest that most packages have, the second that of TensorRT 8.6.
PYTHONS = ("3.12", "3.10")
LIBRARY = re.compile(r"\.(so|pyd)$|\.so\.")


class WheelError(Exception):
    """A wheel that cannot be had; the message says which, and what pip said."""


def download(distribution: str, version: str, folder: Path) -> Path:
    """The wheel of a release, from `folder` or by pip. Raises `WheelError` where pip does not find it."""
    if (found := _in(folder, distribution, version)) is not None:
        return found
    folder.mkdir(parents=True, exist_ok=True)
    said = ""
    for python in PYTHONS:
        platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"),
            *("--python-version", python, *platforms, "--dest", str(folder), f"{distribution}=={version}"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0 and (found := _in(folder, distribution, version)) is not None:
            return found
        said = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit status {done.returncode}"
    raise WheelError(f"{distribution} {version}: {said}")


def newest(distribution: str) -> str:
    """The newest release that the index offers. Raises `WheelError` where it has none."""
    command = [sys.executable, "-m", "pip", "index", "versions", distribution]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"\(([^)]+)\)", done.stdout)
    if done.returncode or found is None:
        raise WheelError(f"{distribution}: {done.stderr.strip().splitlines()[-1:] or 'pip names no release'}")
    return found.group(1)


def _in(folder: Path, distribution: str, version: str) -> Path | None:
    name = distribution.replace("-", "_")
    return next((path for path in sorted(folder.glob(f"{name}-{version}-*.whl")) if zipfile.is_zipfile(path)), None)


@dataclass(frozen=True)
class Found:
    """What a name stands for in a wheel.

    `kind` is "module", "class", "function", "value", "native" (the name stands in a compiled library, which shows no
    signature) or "outside" (it comes from a package that this wheel does not hold). `module` is where it is defined.
    """

    kind: str
    module: str = ""
    node: ast.AST | None = None


OUTSIDE = Found("outside")
NATIVE = Found("native")


@dataclass
class Wheel:
    """The sources of one wheel. `root` is the top package in it ("torch_tensorrt")."""

    path: Path
    root: str
    files: frozenset[str] = field(init=False)
    _archive: zipfile.ZipFile = field(init=False)
    _trees: dict[str, ast.Module] = field(init=False, default_factory=dict)
    _found: dict[tuple[str, str], Found | None] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._archive = zipfile.ZipFile(self.path)
        self.files = frozenset(self._archive.namelist())

    def text(self, name: str) -> str:
        """The content of a file of the wheel."""
        return self._archive.read(name).decode("utf-8", "replace")

    @cached_property
    def libraries(self) -> tuple[bytes, ...]:
        """The content of the compiled libraries."""
        files = sorted(file for file in self.files if file.startswith(f"{self.root}/") and LIBRARY.search(file))
        return tuple(self._archive.read(file) for file in files)

    def source(self, module: str) -> str:
        """The file of a dotted module; empty where the wheel has none. A stub comes first: it has the types."""
        base = module.replace(".", "/")
        names = (f"{base}.pyi", f"{base}/__init__.pyi", f"{base}.py", f"{base}/__init__.py")
        return next((name for name in names if name in self.files), "")

    def tree(self, module: str) -> ast.Module:
        """The syntax tree of a module that the wheel has."""
        if module not in self._trees:
            self._trees[module] = ast.parse(self.text(self.source(module)))
        return self._trees[module]

    def find(self, module: str, name: str) -> Found | None:
        """What a name means in a module; None where it means nothing."""
        if (module, name) not in self._found:
            self._found[module, name] = self._find(module, name)
        return self._found[module, name]

    def resolve(self, path: str) -> Found | None:
        """What "torch_tensorrt.dynamo.compile" stands for; None where the wheel has no such name."""
        first, *rest = path.split(".")
        found: Found | None = Found("module", first) if self.source(first) else None
        for name in rest:
            if found is None or found.kind in ("outside", "native"):
                # A compiled class shows no members; their names stand in the same library.
                return self._native(name) if found is NATIVE else found
            found = self.member(found, name)
        return found

    def member(self, owner: Found, name: str) -> Found | None:
        """`name` of a module or of a class, its bases included."""
        if owner.kind == "module":
            return self.find(owner.module, name)
        if owner.kind == "class" and isinstance(owner.node, ast.ClassDef):
            return self._class_member(owner.module, owner.node, name)
        return OUTSIDE if owner.kind == "value" else None

    def _find(self, module: str, name: str, seen: frozenset[tuple[str, str]] = frozenset()) -> Found | None:
        if (module, name) in seen or not self.source(module):
            return None
        # Thousands of modules are imported by star in the larger packages; few of them need a parser.
        text = self.text(self.source(module))
        if name not in text and "import *" not in text:
            return Found("module", f"{module}.{name}") if self.source(f"{module}.{name}") else None
        seen = seen | {(module, name)}
        candidates = [*self._defined(module, name, seen)]
        for kinds in (("class", "function"), ("module",), ("native",), ("value",), ("outside",)):
            if chosen := next((each for each in candidates if each.kind in kinds), None):
                return chosen
        if self.source(f"{module}.{name}"):
            return Found("module", f"{module}.{name}")
        return None

    def _defined(self, module: str, name: str, seen: frozenset[tuple[str, str]]) -> Iterator[Found]:
        for statement in statements(self.tree(module).body):
            match statement:
                case ast.FunctionDef() | ast.AsyncFunctionDef() if statement.name == name:
                    yield Found("function", module, statement)
                case ast.ClassDef() if statement.name == name:
                    yield Found("class", module, statement)
                case ast.Assign() | ast.AnnAssign() if name in _targets(statement):
                    # A second name of a class or of a function is that.
                    if isinstance(statement.value, ast.Name) and (same := self._find(module, statement.value.id, seen)):
                        yield same
                    yield Found("value", module, statement)
                case ast.Import():
                    for alias in statement.names:
                        if (alias.asname or alias.name.split(".")[0]) == name:
                            target = alias.name if alias.asname else name
                            yield Found("module", target) if self.source(target) else OUTSIDE
                case ast.ImportFrom():
                    yield from self._imported(module, statement, name, seen)

    def _imported(
        self, module: str, statement: ast.ImportFrom, name: str, seen: frozenset[tuple[str, str]]
    ) -> Iterator[Found]:
        source = self._absolute(module, statement)
        for alias in statement.names:
            if alias.name == "*":
                if found := self._find(source, name, seen):
                    yield found
                elif not self.source(source) and self._is_library(source) and (native := self._native(name)):
                    yield native
            elif (alias.asname or alias.name) == name:
                if found := self._find(source, alias.name, seen):
                    yield found
                elif self._is_library(source) and (native := self._native(alias.name)):
                    yield native
                elif not source.startswith(self.root):
                    yield OUTSIDE

    def _absolute(self, module: str, statement: ast.ImportFrom) -> str:
        if not statement.level:
            return statement.module or ""
        package = module if self.source(module).endswith(("__init__.py", "__init__.pyi")) else module.rpartition(".")[0]
        for _ in range(statement.level - 1):
            package = package.rpartition(".")[0]
        return f"{package}.{statement.module}" if statement.module else package

    def _is_library(self, module: str) -> bool:
        base = module.replace(".", "/")
        return any(file.startswith(f"{base}.") and LIBRARY.search(file) for file in self.files)

    def _native(self, name: str) -> Found | None:
        # Only its end is sure to be marked: linkers store a name once for all strings that end in it.
        text = name.encode() + b"\x00"
        return NATIVE if any(text in library for library in self.libraries) else None

    def _class_member(self, module: str, owner: ast.ClassDef, name: str) -> Found | None:
        for statement in statements(owner.body):
            match statement:
                case ast.FunctionDef() | ast.AsyncFunctionDef() if statement.name == name:
                    return Found("function", module, statement)
                case ast.Assign() | ast.AnnAssign() if name in _targets(statement):
                    return Found("value", module, statement)
        # What a method hangs on `self`.
        own = {
            node.attr
            for node in ast.walk(owner)
            if isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        }
        if name in own:
            return Found("value", module, owner)
        leaves = False
        for base in owner.bases:
            found = self._base(module, base)
            if found is NATIVE and (native := self._native(name)):
                return native
            if found is None or found.kind != "class":
                leaves = leaves or found is not NATIVE
            elif member := self.member(found, name):
                if member.kind != "outside":
                    return member
                leaves = True
        return OUTSIDE if leaves else None

    def class_around(self, module: str, node: ast.AST) -> Found | None:
        """The class of a module whose method `node` is."""
        for each in ast.walk(self.tree(module)):
            if isinstance(each, ast.ClassDef) and node in each.body:
                return Found("class", module, each)
        return None

    def inherited(self, owner: Found, name: str) -> Found | None:
        """What `super().name` is in a class."""
        bases = owner.node.bases if isinstance(owner.node, ast.ClassDef) else []
        classes = (self._base(owner.module, base) for base in bases)
        members = (self.member(each, name) for each in classes if each is not None)
        return next((each for each in members if each is not None), None)

    def _base(self, module: str, base: ast.expr) -> Found | None:
        names = ast.unparse(base).split(".")
        found = self.find(module, names[0])
        for name in names[1:]:
            found = self.member(found, name) if found else None
        return found


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body and of its branches, not of the functions and classes in it."""
    for statement in body:
        yield statement
        for part in ("body", "orelse", "finalbody"):
            if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from statements(getattr(statement, part, []))
        for handler in getattr(statement, "handlers", []):
            yield from statements(handler.body)


def _targets(statement: ast.Assign | ast.AnnAssign) -> set[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    parts = [part for each in targets for part in (each.elts if isinstance(each, ast.Tuple | ast.List) else [each])]
    return {part.id for part in parts if isinstance(part, ast.Name)}
