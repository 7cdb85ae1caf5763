"""Three looks at the same sales, side by side."""

from collections import Counter, defaultdict

from orchestrator.context import Context

from scriptlets.framework import BaseScriptlet, register_scriptlet


def money(amount: float) -> float:
    return round(amount, 2)


def sold_to(customers: list[dict], sales: list[dict]) -> list[dict]:
    """The sales to those customers that the filter kept."""
    known = {customer["customer_id"] for customer in customers}
    return [sale for sale in sales if sale["customer_id"] in known]


@register_scriptlet
class ByCustomer(BaseScriptlet):
    """Who buys, and where."""

    def run(self, context: Context, params: dict) -> dict:
        customers, sales = context.get("customers"), context.get("sales")
        region = {customer["customer_id"]: customer["region"] for customer in customers}
        revenue: dict[str, float] = defaultdict(float)
        for sale in sold_to(customers, sales):
            revenue[region[sale["customer_id"]]] += sale["amount"]
        found = {
            "segments": dict(Counter(customer["status"] for customer in customers)),
            "revenue_by_region": {name: money(amount) for name, amount in sorted(revenue.items())},
        }
        context.set("analysis.customers", found, who=self.name)
        return found


@register_scriptlet
class ByProduct(BaseScriptlet):
    """What is sold."""

    def run(self, context: Context, params: dict) -> dict:
        revenue: dict[str, float] = defaultdict(float)
        for sale in sold_to(context.get("customers"), context.get("sales")):
            revenue[sale["product_id"]] += sale["amount"]
        best = max(revenue, key=revenue.__getitem__, default=None)
        found = {
            "categories": dict(Counter(product["category"] for product in context.get("products"))),
            "revenue": {name: money(amount) for name, amount in sorted(revenue.items())},
            "best": best,
        }
        context.set("analysis.products", found, who=self.name)
        return found


@register_scriptlet
class ByMonth(BaseScriptlet):
    """When it is sold."""

    def run(self, context: Context, params: dict) -> dict:
        months: dict[str, float] = defaultdict(float)
        sales = sold_to(context.get("customers"), context.get("sales"))
        for sale in sales:
            months[sale["day"][:7]] += sale["amount"]
        total = sum(sale["amount"] for sale in sales)
        found = {
            "total": money(total),
            "average_order": money(total / len(sales)) if sales else None,
            "months": {month: money(amount) for month, amount in sorted(months.items())},
        }
        context.set("analysis.sales", found, who=self.name)
        return found
