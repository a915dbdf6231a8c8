"""Whether a call fits a function as its source declares it."""

import ast
from collections.abc import Collection

from tests.experiments.contracts.wheels import Found, Wheel


def misfit(
    wheel: Wheel, found: Found, positional: int, keywords: Collection[str], bound: bool, owner: Found | None = None
) -> str:
    """Why a call does not fit what was found; empty where it does, or where there is no source to say.

    `bound`: the first parameter (self, cls) is given already. `owner` is the class whose method it is. A keyword that
    falls into `**kwargs` fits where the function, or one that it hands them on to, reads it from there.
    """
    if isinstance(found.node, ast.ClassDef):
        makers = filter(None, (wheel.member(found, name) for name in ("__init__", "__new__")))
        maker = next((each for each in makers if each.kind == "function"), None)
        if maker is None:
            return _dataclass_misfit(found.node, positional, keywords)
        return misfit(wheel, maker, positional, keywords, bound=True, owner=found)
    node = found.node
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return ""
    decorators = {ast.unparse(each) for each in node.decorator_list}
    takes = node.args.posonlyargs + node.args.args
    if (bound or "classmethod" in decorators) and "staticmethod" not in decorators:
        takes = takes[1:]
    if positional > len(takes) and node.args.vararg is None:
        return f"takes {len(takes)} arguments by position, and is given {positional}"
    given = {each.arg for each in takes[:positional]}
    readers = {keyword: _Reader(wheel, keyword, owner) for keyword in keywords}
    faults = {
        "is given twice": sorted(given.intersection(keywords)),
        "has no keyword": [keyword for keyword, reader in readers.items() if not reader.takes(found)],
        "needs": [name for name in _needed(node.args, takes, positional) if name not in keywords],
    }
    return next((f"{fault} {', '.join(names)}" for fault, names in faults.items() if names), "")


def _needed(arguments: ast.arguments, takes: list[ast.arg], positional: int) -> list[str]:
    """The parameters without a default, of those that are not given by position."""
    by_position = takes[: len(takes) - len(arguments.defaults)][positional:]
    by_name = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return [each.arg for each in by_position] + [each.arg for each, default in by_name if default is None]


def _dataclass_misfit(node: ast.ClassDef, positional: int, keywords: Collection[str]) -> str:
    fields = [
        each.target.id for each in node.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    ]
    if not any("dataclass" in ast.unparse(each) for each in node.decorator_list):
        return ""  # its constructor is that of a base outside the wheel
    unknown = [keyword for keyword in keywords if keyword not in fields]
    if unknown:
        return f"has no keyword {unknown[0]}"
    return "" if positional <= len(fields) else f"takes {len(fields)} arguments, and is given {positional}"


class _Reader:
    """Whether functions take one keyword. `owner` is the class of the instance on which the first is called."""

    def __init__(self, wheel: Wheel, keyword: str, owner: Found | None) -> None:
        self._wheel = wheel
        self._keyword = keyword
        self._owner = owner
        self._seen: set[int] = set()

    def takes(self, found: Found) -> bool:
        """By name, or from its `**kwargs`, which it reads itself or hands on to a function that takes it."""
        node = found.node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or id(node) in self._seen:
            return False
        self._seen.add(id(node))
        if self._keyword in {each.arg for each in node.args.args + node.args.kwonlyargs}:
            return True
        rest = node.args.kwarg
        if rest is None:
            return False
        if self._typed(found.module, rest.annotation) or any(self._read_in(part, rest.arg) for part in ast.walk(node)):
            return True
        targets = (self._target(found, called) for called in _handed_on(node, rest.arg))
        return any(target is not None and self.takes(target) for target in targets)

    def _typed(self, module: str, annotation: ast.expr | None) -> bool:
        """Whether the typed dictionary of `**kwargs: Unpack[…]` has this key."""
        if not isinstance(annotation, ast.Subscript) or ast.unparse(annotation.value).split(".")[-1] != "Unpack":
            return False
        keys = self._wheel.find(module, ast.unparse(annotation.slice))
        member = self._wheel.member(keys, self._keyword) if keys is not None and keys.kind == "class" else None
        return member is not None and member.kind == "value"

    def _read_in(self, part: ast.AST, kwargs: str) -> bool:
        """Whether this part of a function reads the keyword from `kwargs`."""
        match part:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr="pop" | "get" | "setdefault"), args=[key, *_]
            ):
                pass
            case ast.Subscript(value=ast.Name(id=name), slice=key):
                pass
            case ast.Compare(left=key, ops=[ast.In() | ast.NotIn()], comparators=[ast.Name(id=name)]):
                pass
            case _:
                return False
        return name == kwargs and isinstance(key, ast.Constant) and key.value == self._keyword

    def _target(self, found: Found, called: ast.expr) -> Found | None:
        """What a call within a function goes to, where the name says it: a function, or a method of its class."""
        names = ast.unparse(called).split(".")
        if names[0] in ("self", "cls", "super()") and len(names) == 2 and found.node is not None:
            around = self._wheel.class_around(found.module, found.node)
            if names[0] == "super()":
                return self._wheel.inherited(around, names[1]) if around else None
            return next(
                (self._wheel.member(each, names[1]) for each in (self._owner, around) if each is not None), None
            )
        target = self._wheel.find(found.module, names[0])
        for name in names[1:]:
            target = self._wheel.member(target, name) if target else None
        return target


def _handed_on(node: ast.AST, kwargs: str) -> list[ast.expr]:
    """The functions that are called with `**kwargs` in a function."""
    return [
        part.func
        for part in ast.walk(node)
        if isinstance(part, ast.Call)
        and any(each.arg is None and ast.unparse(each.value) == kwargs for each in part.keywords)
    ]
