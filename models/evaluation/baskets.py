"""Leave-one-out completion of orders: each item of a test order in turn is asked for, given the rest of the order.

The model is shown the session up to the order, then the order's other lines. Of the item that is asked for it is
shown nothing: what was looked at or put into the cart before would only have to be found again, and a suggestion never
holds what its session has met. So in the prequential protocol a session is taught only when it has ended.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Final

from models.evaluation.recommender import Interaction, is_same_order
from models.evaluation.replay import Course, Question, Task

__all__ = ["BASKETS", "Baskets"]


class Baskets(Task):
    """Ask for each item of each order with at least two of them; what the model is shown is excluded from its list.

    Examples
    --------
    >>> session = [Interaction("ann", item, 1, "orders") for item in ("tea", "cup")]
    >>> for question in BASKETS.course(0, session).questions():
    ...     print(question.session[0].item_id, question.target)
    cup tea
    tea cup
    """

    is_taught_whole: ClassVar[bool] = True

    def course(self, index: int, whole: list[Interaction]) -> Course:
        """Begin a session."""
        return _BasketCourse(index, whole)


BASKETS: Final = Baskets()


@dataclass(slots=True)
class _BasketCourse(Course):
    #: The place behind the order that has been asked about.
    asked: int = field(default=0, init=False)

    def questions(self) -> Iterator[Question]:
        start = len(self.so_far)
        if start < self.asked or self.whole[start].kind != "orders":
            return
        end = start + 1
        while end < len(self.whole) and is_same_order(self.whole[end - 1], self.whole[end]):
            end += 1
        self.asked = end
        items = dict.fromkeys(line.item_id for line in self.whole[start:end])
        if len(items) < 2:
            return
        for target in items:
            shown = [each for each in self.whole[:end] if each.item_id != target]
            yield Question(shown, target, {each.item_id for each in shown})
