"""The error tree: what its docstring draws is what there is."""

import inspect

from paasd.domain import errors


def test_the_docstring_draws_the_tree() -> None:
    drawn: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        name = line.split()[0] if line.split() else ""
        if isinstance(getattr(errors, name, None), type):
            depth = (len(line) - len(line.lstrip())) // 2
            above[depth:] = [name]
            drawn[name] = above[depth - 1] if depth else "Exception"
    there = {
        name: kind.__bases__[0].__name__
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if kind.__module__ == errors.__name__
    }
    assert drawn == there


def test_an_error_carries_what_it_concerns() -> None:
    error = errors.NotFound("Couldn't find that app; list them with `heroku apps`.", resource="app", app="shop")
    assert (str(error), error.message, error.resource, error.app) == (error.message, error.message, "app", "shop")
    assert errors.BuildFailed("It failed; mend it.", exit_code=3).exit_code == 3
