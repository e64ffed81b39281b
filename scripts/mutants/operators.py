"""Small changes to a function that a test should notice: what a rule would be without a part of it.

The rules:

* A mutant is one change at one place: a condition turned round, a comparison moved by one, `and` for `or`, a finding
  that is not made, a return that returns nothing, a sum for a difference, a step left out.
* Only code inside functions is changed, so that a function's code can be exchanged in a program that has it loaded.
* Places are numbered in the order of the source, so that a seed names the same mutants wherever it runs.
* Raised errors' words, docstrings and annotations are left alone: they are no rule.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

__all__ = ["Mutation", "mutations_of"]

_COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_SUMS: Final[dict[type[ast.operator], type[ast.operator]]] = {ast.Add: ast.Sub, ast.Sub: ast.Add}
_Change = Callable[[ast.AST], None]


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change: where it stands in the source and what it does. Its tree is made when asked for: there are many."""

    function: str
    line: int
    change: str
    module: ast.Module
    place: int
    apply: _Change

    @property
    def tree(self) -> ast.Module:
        """The tree of the module with the change."""
        mutated = copy.deepcopy(self.module)
        _, target = next(islice(_places(mutated), self.place, None))
        self.apply(target)
        return ast.fix_missing_locations(mutated)


def mutations_of(source: str) -> Iterator[Mutation]:
    """Yields every mutant of a module, in the order of its source."""
    tree = ast.parse(source)
    for place, (function, node) in enumerate(_places(tree)):
        for change, apply in _changes(node):
            yield Mutation(function, _line_of(node), change, tree, place, apply)


def _line_of(node: ast.AST) -> int:
    """Returns the line of a node; a comprehension has none, its first condition does."""
    if isinstance(node, ast.comprehension):
        return node.ifs[0].lineno
    return int(getattr(node, "lineno", 0))


def _places(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Yields every node inside the functions of a module, with the qualified name of the outermost one."""

    def functions(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.AST]]:
        for one in body:
            if isinstance(one, ast.ClassDef):
                yield from functions(one.body, f"{prefix}{one.name}.")
            elif isinstance(one, ast.FunctionDef):
                for statement in one.body:
                    for node in ast.walk(statement):
                        yield f"{prefix}{one.name}", node

    yield from functions(tree.body, "")


def _changes(node: ast.AST) -> Iterator[tuple[str, _Change]]:
    match node:
        case ast.If() | ast.IfExp() | ast.While():
            yield "condition turned round", _negate
        case ast.Compare(ops=[op]) if type(op) in _COMPARISONS:
            yield f"{type(op).__name__} became {_COMPARISONS[type(op)].__name__}", _compare_otherwise
        case ast.BoolOp(op=ast.And()):
            yield "and became or", _swap_and
        case ast.BoolOp():
            yield "or became and", _swap_and
        case ast.BinOp(op=op) if type(op) in _SUMS:
            yield f"{type(op).__name__} became {_SUMS[type(op)].__name__}", _swap_sum
        case ast.Expr(value=ast.Yield(value=ast.Call())):
            yield "what was yielded is not", _drop
        case ast.Expr(value=ast.YieldFrom()):
            yield "what was yielded is not", _drop
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="append" | "add" | "extend" | "update"))):
            yield "what was added is not", _drop
        case ast.Return(value=ast.Tuple(elts=[_, *_])):
            yield "nothing is returned", _return_nothing
        case ast.comprehension(ifs=[_, *_]):
            yield "nothing is filtered", _filter_nothing
        case _:
            pass


def _negate(node: ast.AST) -> None:
    assert isinstance(node, ast.If | ast.IfExp | ast.While)
    node.test = ast.UnaryOp(ast.Not(), node.test)


def _compare_otherwise(node: ast.AST) -> None:
    assert isinstance(node, ast.Compare)
    node.ops = [_COMPARISONS[type(node.ops[0])]()]


def _swap_and(node: ast.AST) -> None:
    assert isinstance(node, ast.BoolOp)
    node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()


def _swap_sum(node: ast.AST) -> None:
    assert isinstance(node, ast.BinOp)
    node.op = _SUMS[type(node.op)]()


def _drop(node: ast.AST) -> None:
    """Keeps the function a generator if it was one: the value goes, the yield stays and never runs."""
    assert isinstance(node, ast.Expr)
    value = node.value
    if isinstance(value, ast.Yield | ast.YieldFrom):
        node.value = ast.IfExp(ast.Constant(value=False), value, ast.Constant(value=None))
    else:
        node.value = ast.Constant(value=None)


def _return_nothing(node: ast.AST) -> None:
    assert isinstance(node, ast.Return)
    node.value = ast.Tuple([], ast.Load())


def _filter_nothing(node: ast.AST) -> None:
    assert isinstance(node, ast.comprehension)
    node.ifs = []
