"""Conditions are joined with their names and values, and a write id differs from every other."""

from __future__ import annotations

from lookalike.stores.aws.dynamodb_conditions import (
    ABSENT,
    all_of,
    any_of,
    attribute_absent,
    attributes_equal,
    with_write_id,
)


def test_joined_conditions_have_the_names_and_values_of_all() -> None:
    assert all_of(any_of(attributes_equal({"a": 1, "b": 2}), attribute_absent("c")), attributes_equal({"a": 1})) == {
        "ConditionExpression": "((#a = :a AND #b = :b) OR (attribute_not_exists(#c))) AND (#a = :a)",
        "ExpressionAttributeNames": {"#a": "a", "#b": "b", "#c": "c"},
        "ExpressionAttributeValues": {":a": 1, ":b": 2},
    }


def test_no_argument_is_empty_which_dynamodb_would_reject() -> None:
    assert any_of(ABSENT, ABSENT).keys() == {"ConditionExpression"}
    assert any_of(ABSENT, attribute_absent("a")).keys() == {"ConditionExpression", "ExpressionAttributeNames"}


def test_write_ids_differ() -> None:
    item = {"pk": {"S": "a"}}
    first, second = with_write_id(item), with_write_id(item)
    assert first["written"] != second["written"]
    assert {name: value for name, value in first.items() if name != "written"} == item
