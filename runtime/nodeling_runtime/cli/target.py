"""What `FILE` on the command line names: a document, or `module:workflow` made in Python."""

from __future__ import annotations

import importlib
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nodeling.errors import ConfigError, nearest
from nodeling_runtime.engine.host import EngineHost, prewarm
from nodeling_runtime.engine.loaded import Loaded, load_file
from nodeling_runtime.formats import Reading

_MODULE = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"


def load_target(text: str, folders: Sequence[Path] = (), reading: Reading | None = None) -> Loaded:
    """Load a workflow file, or a `nodeling.Workflow` by `package.module:name`.

    Raises:
        ConfigError: There is no such file, module or name, or it cannot be read.
    """
    if ":" in text and re.fullmatch(_MODULE, text) and not Path(text).exists():
        return EngineHost().load(_workflow(text), folders, to_run=True)
    return load_file(Path(text), folders, reading=reading, resolved=prewarm)


def _workflow(text: str) -> Any:
    from nodeling.workflow import Workflow

    module_name, _, path = text.partition(":")
    found: Any = _module(module_name, text)
    for part in path.split("."):
        if not hasattr(found, part):
            near = nearest(part, [name for name, value in vars(found).items() if isinstance(value, Workflow)])
            hint = f"did you mean {near!r}?" if near else None
            raise ConfigError(f"{module_name} has no {path!r}", code="file.not_found", hint=hint)
        found = getattr(found, part)
    if not isinstance(found, Workflow):
        raise ConfigError(
            f"{text} is a {type(found).__name__}, not a nodeling.Workflow", code="document.type"
        )
    return found


def _module(name: str, text: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigError(
                f"there is no file {text} and no module {name!r}",
                code="file.not_found",
                hint="a workflow made in Python is named module:variable and is looked for from here",
            ) from None
        raise _broken(name, error) from error
    except Exception as error:  # the user's module may raise anything
        raise _broken(name, error) from error


def _broken(name: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"the module {name!r} does not load: {type(error).__name__}: {error}",
        code="document.module",
        details={"traceback": traceback.format_exc()},
    )
