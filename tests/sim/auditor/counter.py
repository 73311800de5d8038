"""The counter by the rules R of docs/rules.md, in plain dicts: what sales and refunds come to.

Shares no code with the service and knows nothing of it. Units: minor units throughout.
"""

from __future__ import annotations

from typing import Any

Line = tuple[int, int]
"""Product and quantity."""


def half_up(top: int, bottom: int) -> int:
    """Divide, rounding halves away from zero; nothing here is negative."""
    return (2 * top + bottom) // (2 * bottom)


class CounterAudit:
    """A shop: its products, its drawer, and the documents it gave out."""

    def __init__(self, rounding: str) -> None:
        self.rounding = rounding
        self.products: dict[int, dict[str, Any]] = {}
        self.pieces: dict[int, int] = {}
        self.uncounted = 0
        self.receipts: dict[int, dict[str, Any]] = {}
        self.refunds = 0
        accounts = ("cash:drawer", "sales", "tax-payable", "rounding", "cash:float", "over-short")
        self.ledger: dict[str, int] = {}
        for name in accounts:
            self.ledger[name] = 0

    # -- the drawer: R5, R6, R11

    def fewest_pieces(self, amount: int, pieces: dict[int, int]) -> int | None:
        """Find how many pieces make exactly an amount; None where none do."""
        best = {0: 0}
        for value, count in pieces.items():
            reached = dict(best)
            for total, used in best.items():
                for more in range(1, count + 1):
                    grown = total + more * value
                    if grown > amount:
                        break
                    if grown not in reached or reached[grown] > used + more:
                        reached[grown] = used + more
            best = reached
        return best.get(amount)

    def _post(self, **amounts: int) -> None:
        assert sum(amounts.values()) == 0, "the auditor itself must balance"
        for name, amount in amounts.items():
            self.ledger[name.replace("__", ":").replace("_", "-")] += amount

    def set_pieces(self, value: int, count: int) -> None:
        """Know of so many pieces of a value from now on."""
        change = (count - self.pieces.get(value, 0)) * value
        self.pieces[value] = count
        self._post(cash__drawer=change, cash__float=-change)

    def count_drawer(self, counted: dict[int, int], *, opens: bool = False) -> int:
        """Count the drawer: what was uncounted is counted now, the rest is over or short.

        A drawer that holds nothing when a session opens is filled: that is no surprise.
        """
        expected = worth(self.pieces) + self.uncounted
        difference = worth(counted) - expected
        # What nobody counted is not there: a count names every kind of piece.
        self.pieces = {value: counted.get(value, 0) for value in {*self.pieces, *counted}}
        self.uncounted = 0
        if opens and not expected:
            self._post(cash__drawer=difference, cash__float=-difference)
        else:
            self._post(cash__drawer=difference, over_short=-difference)
        return difference

    def move_cash(self, amount: int, pieces: dict[int, int]) -> None:
        """Put cash in or take it out; it comes out of the float."""
        self.uncounted += amount - worth(pieces)
        for value, count in pieces.items():
            self.pieces[value] = self.pieces.get(value, 0) + count
        self._post(cash__drawer=amount, cash__float=-amount)

    # -- sales: R2-R6

    def price(self, lines: list[Line]) -> dict[str, Any]:
        """Work a basket out: lines, total before tax, tax, rounding, final amount."""
        merged: dict[int, int] = {}
        for product, quantity in lines:
            merged[product] = merged.get(product, 0) + quantity
        items: list[dict[str, int]] = []
        for product, quantity in merged.items():
            kept = self.products[product]
            gross = kept["price"] * quantity
            if kept["inclusive"]:
                tax = half_up(gross * kept["tax_ppm"], 1_000_000 + kept["tax_ppm"])
                amount = gross - tax
            else:
                tax = half_up(gross * kept["tax_ppm"], 1_000_000)
                amount = gross
            items.append({"product": product, "quantity": quantity, "amount": amount, "tax": tax,
                          "price": kept["price"], "inclusive": kept["inclusive"],
                          "refunded": 0})  # fmt: skip
        total = sum(item["amount"] for item in items)
        tax = sum(item["tax"] for item in items)
        final = self.round_cash(total + tax)
        return {"items": items, "total": total, "tax": tax, "final": final,
                "rounding": final - total - tax, "cash_back": 0}  # fmt: skip

    def round_cash(self, net: int) -> int:
        """Round as cash can pay. Source: R4."""
        if self.rounding == "floor_to_unit":
            return net // 100 * 100
        if self.rounding.startswith("nearest_"):
            unit = int(self.rounding.removeprefix("nearest_"))
            return half_up(net, unit) * unit
        return net

    def why_not_sold(
        self, lines: list[Line], paid: int, tendered: dict[int, int] | None
    ) -> set[str]:
        """List every reason against a sale; empty: it must be made."""
        reasons: set[str] = set()
        if any(not self.products[product]["active"] for product, _ in lines):
            reasons.add("product_retired")
        priced = self.price(lines)
        for item in priced["items"]:
            kept = self.products[item["product"]]
            if kept["stock"] - item["quantity"] < -kept["oversell"]:
                reasons.add("stock_insufficient")
        if paid < priced["final"]:
            reasons.add("payment_insufficient")
        there = dict(self.pieces)
        if tendered is not None:
            if worth(tendered) != paid:
                reasons.add("tender_mismatch")
            for value, count in tendered.items():
                if value not in self.pieces:
                    reasons.add("denomination_not_found")
                there[value] = there.get(value, 0) + count
        if paid >= priced["final"] and self.fewest_pieces(paid - priced["final"], there) is None:
            reasons.add("change_impossible")
        return reasons

    def sell(
        self,
        number: int,
        lines: list[Line],
        paid: int,
        tendered: dict[int, int] | None,
        change: dict[int, int],
    ) -> list[str]:
        """Book a sale that was made, and say what is wrong with the change that was given."""
        priced = self.price(lines)
        wrong: list[str] = []
        if number != len(self.receipts) + 1:
            wrong.append(f"receipt {number} after {len(self.receipts)}")
        for value, count in (tendered or {}).items():
            self.pieces[value] = self.pieces.get(value, 0) + count
        due = paid - priced["final"]
        if worth(change) != due:
            wrong.append(f"change {worth(change)} instead of {due}")
        fewest = self.fewest_pieces(due, self.pieces)
        if fewest != sum(change.values()):
            wrong.append(f"{sum(change.values())} pieces of change, {fewest} would do")
        for value, count in change.items():
            self.pieces[value] = self.pieces.get(value, 0) - count
            if self.pieces[value] < 0:
                wrong.append(f"a piece of {value} was given that was not there")
        if tendered is None:
            self.uncounted += paid
        for item in priced["items"]:
            self.products[item["product"]]["stock"] -= item["quantity"]
        self.receipts[number] = priced
        self._post(cash__drawer=paid - due, sales=-priced["total"], tax_payable=-priced["tax"],
                   rounding=-priced["rounding"])  # fmt: skip
        return wrong

    # -- refunds: R8

    def plan_refund(self, number: int, lines: list[Line] | None) -> dict[str, Any] | None:
        """Work a refund out; None where more is asked than was sold and is left."""
        sold = self.receipts.get(number)
        if sold is None:
            return None
        asked: dict[int, int] = {}
        for product, quantity in lines or []:
            asked[product] = asked.get(product, 0) + quantity
        if lines is None:
            asked = {item["product"]: item["quantity"] - item["refunded"] for item in sold["items"]}
            asked = {product: quantity for product, quantity in asked.items() if quantity}
        by_product = {item["product"]: item for item in sold["items"]}
        if not asked or any(
            product not in by_product
            or quantity > by_product[product]["quantity"] - by_product[product]["refunded"]
            for product, quantity in asked.items()
        ):
            return None
        total = tax = net_after = 0
        for item in sold["items"]:
            after = item["refunded"] + asked.get(item["product"], 0)
            amount_before, tax_before = self._so_far(item, item["refunded"])
            amount_after, tax_after = self._so_far(item, after)
            total += amount_after - amount_before
            tax += tax_after - tax_before
            net_after += amount_after + tax_after
        cash = self.round_cash(net_after) - sold["cash_back"]
        return {"asked": asked, "total": total, "tax": tax, "cash": cash}

    def _so_far(self, item: dict[str, int], quantity: int) -> tuple[int, int]:
        tax = half_up(item["tax"] * quantity, item["quantity"])
        gross = item["price"] * quantity
        return (gross - tax if item["inclusive"] else gross), tax

    def may_pay_out(self, cash: int) -> bool:
        """Tell whether pieces, and uncounted cash where they do not suffice, make an amount."""
        sums = {0}
        for value, count in self.pieces.items():
            sums = {s + k * value for s in sums for k in range(count + 1) if s + k * value <= cash}
        return any(cash - s <= self.uncounted for s in sums)

    def refund(
        self,
        number: int,
        plan: dict[str, Any],
        pieces: dict[int, int],
        uncounted: int,
        *,
        restock: bool,
    ) -> list[str]:
        """Book a refund that was given, and say what is wrong with the money it was given in."""
        sold = self.receipts[number]
        wrong: list[str] = []
        if worth(pieces) + uncounted != plan["cash"]:
            wrong.append(f"refunded {worth(pieces) + uncounted} instead of {plan['cash']}")
        if uncounted and self.fewest_pieces(plan["cash"], self.pieces) is not None:
            wrong.append("uncounted cash was used though exact pieces were there")
        for value, count in pieces.items():
            self.pieces[value] = self.pieces.get(value, 0) - count
            if self.pieces[value] < 0:
                wrong.append(f"a piece of {value} was given that was not there")
        self.uncounted -= uncounted
        for item in sold["items"]:
            quantity = plan["asked"].get(item["product"], 0)
            item["refunded"] += quantity
            if restock:
                self.products[item["product"]]["stock"] += quantity
        sold["cash_back"] += plan["cash"]
        self.refunds += 1
        if self.is_all_back(number) and sold["cash_back"] != sold["final"]:
            wrong.append(f"all is back, and {sold['cash_back']} of {sold['final']} was paid")
        self._post(sales=plan["total"], tax_payable=plan["tax"], cash__drawer=-plan["cash"],
                   rounding=plan["cash"] - plan["total"] - plan["tax"])  # fmt: skip
        return wrong

    def is_all_back(self, number: int) -> bool:
        """Tell whether everything of a receipt was given back."""
        return all(i["refunded"] == i["quantity"] for i in self.receipts[number]["items"])


def worth(pieces: dict[int, int]) -> int:
    """Add up what pieces are worth."""
    return sum(value * count for value, count in pieces.items())
