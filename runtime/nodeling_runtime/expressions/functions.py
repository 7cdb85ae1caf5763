"""The functions every expression may call."""

from __future__ import annotations

from nodeling_runtime.expressions.function_table import ExpressionFunction, FunctionTable
from nodeling_runtime.expressions.list_functions import LIST_FUNCTIONS
from nodeling_runtime.expressions.number_functions import NUMBER_FUNCTIONS
from nodeling_runtime.expressions.text_functions import TEXT_FUNCTIONS

__all__ = ["BUILTINS", "ExpressionFunction", "FunctionTable"]

BUILTINS = FunctionTable([*TEXT_FUNCTIONS, *NUMBER_FUNCTIONS, *LIST_FUNCTIONS])
