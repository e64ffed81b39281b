"""The contract states who may read every field, and the document says the same."""

import pytest
from google.protobuf import descriptor_pb2

import contract_table
from cellcustody.v1 import options_pb2


def schema_with_body(*, disclosure: options_pb2.DisclosureClass.ValueType | None) -> bytes:
    """Returns the schema and one more body, `ParcelWeighed`, whose only field has that class or none."""
    files = descriptor_pb2.FileDescriptorSet.FromString(contract_table.SCHEMA.read_bytes())
    file = files.file.add(name="parcel.proto", package="example", syntax="proto3")
    file.dependency.append("cellcustody/v1/options.proto")
    body = file.message_type.add(name="ParcelWeighed")
    body.options.Extensions[options_pb2.act].kind = options_pb2.ACT_KIND_FACT
    field = body.field.add(
        name="mass_grams",
        number=1,
        type=descriptor_pb2.FieldDescriptorProto.TYPE_UINT32,
        label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
    )
    if disclosure is not None:
        field.options.Extensions[options_pb2.disclosure] = disclosure
    return files.SerializeToString()


def test_every_field_of_every_body_has_its_class() -> None:
    """No field of the contract is left for somebody to decide later who may read it."""
    bodies = contract_table.read_bodies(contract_table.SCHEMA.read_bytes())

    assert bodies, "the contract has no body"
    assert contract_table.fields_without_class(bodies) == ()


def test_the_document_shows_the_contract_as_it_is() -> None:
    """docs/contract.md is what the checked-in descriptor set makes."""
    text = contract_table.render(contract_table.read_bodies(contract_table.SCHEMA.read_bytes()))

    assert contract_table.TABLE.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("disclosure", [None, options_pb2.DISCLOSURE_CLASS_UNSPECIFIED])
def test_a_field_without_class_is_named(disclosure: options_pb2.DisclosureClass.ValueType | None) -> None:
    """A field with no class, or with the unspecified one, is found and shown as such."""
    bodies = contract_table.read_bodies(schema_with_body(disclosure=disclosure))

    assert contract_table.fields_without_class(bodies) == ("ParcelWeighed.mass_grams",)
    assert "| 1 | `mass_grams` | uint32 | **none** |  |" in contract_table.render(bodies)


def test_a_class_is_shown_by_its_word() -> None:
    """The table says CUSTODY, not the enum's full name nor its number."""
    bodies = contract_table.read_bodies(schema_with_body(disclosure=options_pb2.DISCLOSURE_CLASS_CUSTODY))

    assert contract_table.fields_without_class(bodies) == ()
    assert "| 1 | `mass_grams` | uint32 | CUSTODY |  |" in contract_table.render(bodies)
    assert "- kind: fact" in contract_table.render(bodies)
