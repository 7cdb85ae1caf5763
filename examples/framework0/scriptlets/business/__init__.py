"""The scriptlets of the business recipe."""

from .analyse import ByCustomer, ByMonth, ByProduct
from .load import LoadTable, Setup, Validate
from .recover import Recover
from .report import Report

__all__ = ["ByCustomer", "ByMonth", "ByProduct", "LoadTable", "Recover", "Report", "Setup", "Validate"]
