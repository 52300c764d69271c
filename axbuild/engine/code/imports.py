"""What a module imports, by parsing it: every import statement that can run, wherever it stands.

Left out: what stands under `if TYPE_CHECKING:`, and the body of a module's own `__getattr__` (PEP 562), which only
whoever asks for the lazy name runs; a worker refuses a module that came in by such a way undeclared.
"""

from __future__ import annotations

import ast

from axbuild.dataclass import dataclass


@dataclass(frozen=True)
class Import:
    """`import module` (no names) or `from module import names`; `local` when it stands inside a function."""

    module: str
    names: tuple[str, ...]
    local: bool


def imports_of(source: bytes, module: str, is_package: bool) -> list[Import]:
    """The imports of a module's source, relative ones made absolute; raises SyntaxError."""
    finder = _Finder(module if is_package else module.rpartition(".")[0])
    finder.scan(ast.parse(source).body, local=False)
    return list(dict.fromkeys(finder.found))


class _Finder:
    def __init__(self, package: str) -> None:
        self.package = package
        self.found: list[Import] = []

    def scan(self, nodes: list[ast.stmt], local: bool) -> None:
        for node in nodes:
            if not local and isinstance(node, ast.FunctionDef) and node.name == "__getattr__":
                continue
            self.visit(node, local)

    def visit(self, node: ast.AST, local: bool) -> None:
        match node:
            case ast.Import(names=names):
                self.found += [Import(alias.name, (), local) for alias in names]
            case ast.ImportFrom(module=module, names=names, level=level):
                taken = tuple(alias.name for alias in names if alias.name != "*")
                self.found.append(Import(self._absolute(module or "", level), taken, local))
            case ast.If(test=test, body=body, orelse=orelse) if _type_checking(test) is not None:
                for child in orelse if _type_checking(test) else body:
                    self.visit(child, local)
            case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]) if _is_import_call(func):
                self.found.append(Import(name, (), local))
                self._inside(node, local)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                self._inside(node, True)
            case _:
                self._inside(node, local)

    def _inside(self, node: ast.AST, local: bool) -> None:
        for child in ast.iter_child_nodes(node):
            self.visit(child, local)

    def _absolute(self, module: str, level: int) -> str:
        if not level:
            return module
        package = self.package
        for _ in range(level - 1):
            package = package.rpartition(".")[0]
        return f"{package}.{module}" if module else package


def _type_checking(test: ast.expr) -> bool | None:
    """True for `TYPE_CHECKING`, False for `not TYPE_CHECKING`, None for any other condition."""
    match test:
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return True
        case ast.UnaryOp(op=ast.Not(), operand=operand) if _type_checking(operand):
            return False
    return None


def _is_import_call(func: ast.expr) -> bool:
    match func:
        case ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"):
            return True
    return False
