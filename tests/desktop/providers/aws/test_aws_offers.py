"""What EC2 could rent to us: its instance types with their GPUs, where, and for how much."""

from __future__ import annotations

import json

import pytest

from personadesk.domain.errors import AuthFailed
from personadesk.domain.offer import BF16_GB, INT8_GB, Need, Stock
from personadesk.providers.aws import prices, wire
from personadesk.providers.aws.machines import kind_of


def listed(kind: str, region: str, dollars: str) -> str:
    """A line of AWS's price list, as it documents it (`aws_v1`)."""
    dimension = {
        "unit": "Hrs",
        "pricePerUnit": {"USD": dollars},
        "beginRange": "0",
        "description": "x",
    }
    return json.dumps(
        {
            "product": {"sku": "S", "attributes": {"instanceType": kind, "regionCode": region}},
            "serviceCode": "AmazonEC2",
            "terms": {
                "OnDemand": {"S.T": {"priceDimensions": {"S.T.D": dimension}, "sku": "S"}},
                "Reserved": {"S.R": {"priceDimensions": {"S.R.D": {**dimension, "pricePerUnit": {"USD": "0.1"}}}}},
            },
        }
    )  # fmt: skip


async def test_gpus_of_enough_memory_are_offered_once_a_type_and_region(aws):
    found = await aws.offers(Need(memory_gb=BF16_GB))
    by_type = {offer.ref: offer for offer in found}
    assert len(by_type) == len(found)
    small = by_type["g5.xlarge"]
    assert (small.gpu, small.memory_gb, small.count, small.region) == ("A10G", 24.0, 1, "us-east-1")
    assert (small.price, small.estimated, small.price_date) == (1.006, True, prices.TABLE_DATE)
    assert small.stock is Stock.UNKNOWN
    assert small.data["vcpus"] == "4"
    assert "us-east-1a" in small.data["zones"].split()
    assert by_type["g6e.xlarge"].gpu == "L40S"
    # 16 GB, eight GPUs, an eighth of a GPU, ARM, AMD, no GPU.
    assert not {"g4dn.xlarge", "p5.48xlarge", "g6f.large", "g5g.xlarge", "g4ad.xlarge"} & set(
        by_type
    )


async def test_eight_bits_fit_into_less(aws):
    refs = {offer.ref for offer in await aws.offers(Need(memory_gb=INT8_GB))}
    assert "g4dn.xlarge" in refs


async def test_a_price_limit_leaves_out_dearer_ones_and_those_without_a_price(aws):
    found = await aws.offers(Need(max_price=1.0))
    assert {offer.ref for offer in found} == {"g6.xlarge", "g6.2xlarge"}


async def test_types_and_zones_are_asked_for_once_a_day(aws, door, clock):
    await aws.offers(Need())
    await aws.offers(Need())
    assert len(door.made("DescribeInstanceTypes")) == 1
    assert len(door.made("DescribeInstanceTypeOfferings")) == 1
    clock.now += 25 * 3600
    await aws.offers(Need())
    assert len(door.made("DescribeInstanceTypes")) == 2


async def test_the_price_list_is_better_than_the_table(aws, door):
    lines = [
        listed("g5.xlarge", "us-east-1", "1.1230000000"),
        listed("g6.xlarge", "us-east-1", "0"),
    ]
    door.answer("GetProducts", {"FormatVersion": "aws_v1", "PriceList": lines})
    by_type = {offer.ref: offer for offer in await aws.offers(Need())}
    live, guessed = by_type["g5.xlarge"], by_type["g6.xlarge"]
    assert (live.price, live.estimated, live.price_date) == (1.123, False, "")
    assert guessed.estimated
    (call,) = door.made("GetProducts")
    assert {f["Field"] for f in call.parameters["Filters"]} >= {
        "instanceType",
        "regionCode",
        "tenancy",
    }
    await aws.offers(Need())
    assert len(door.made("GetProducts")) == 1


async def test_a_region_without_table_has_prices_from_the_list_or_none(make, door):
    aws = make(region="eu-west-1")
    door.refuse("GetProducts", "AccessDeniedException")
    found = await aws.offers(Need())
    assert found
    assert all(offer.price is None for offer in found)
    assert {offer.place for offer in found} == {"Ireland"}


async def test_spot_is_offered_where_it_is_wanted_at_the_price_of_the_cheapest_zone(aws, door):
    # The door names one zone as cheaper than moto's others.
    pattern = "(us-east-1c</availabilityZone>.{0,300}?<spotPrice>)[^<]+"
    door.change("DescribeSpotPriceHistory", pattern, r"\g<1>0.000001")
    found = await aws.offers(Need(spot=True))
    spot = {offer.ref: offer for offer in found if offer.spot}
    own = {offer.ref: offer for offer in found if not offer.spot}
    assert spot["g5.xlarge"].key != own["g5.xlarge"].key
    assert not spot["g5.xlarge"].estimated
    assert spot["g5.xlarge"].price == 0.000001
    assert spot["g5.xlarge"].data["zones"].startswith("us-east-1c")
    assert not [offer for offer in await aws.offers(Need()) if offer.spot]


async def test_several_regions_are_offered_and_one_that_fails_is_left_out(make, door):
    aws = make(region="us-east-1, eu-west-1")
    assert {offer.region for offer in await aws.offers(Need())} == {"us-east-1", "eu-west-1"}
    other = make(region="us-east-1, eu-west-1")
    door.refuse(
        "DescribeInstanceTypes", "AuthFailure", when=lambda call: call.region == "eu-west-1"
    )
    assert {offer.region for offer in await other.offers(Need())} == {"us-east-1"}


async def test_when_no_region_answers_the_reason_is_told(aws, door):
    door.refuse("DescribeInstanceTypes", "UnauthorizedOperation", status=403)
    with pytest.raises(AuthFailed) as told:
        await aws.offers(Need())
    assert "ec2:DescribeInstanceTypes" in str(told.value.next)


def test_a_part_of_a_gpu_and_a_gpu_of_another_maker_are_no_whole_gpu():
    eighth = {"Name": "L4", "Manufacturer": "NVIDIA", "Count": 1, "MemoryInfo": {"SizeInMiB": 2861}}
    other = {"Name": "Radeon", "Manufacturer": "AMD", "Count": 1, "MemoryInfo": {"SizeInMiB": 8192}}

    def kind(gpu):
        told = {"InstanceType": "x.y", "GpuInfo": {"Gpus": [gpu]}, "NewField": {"of": "tomorrow"}}
        return kind_of(wire.read(told, wire.InstanceType))

    assert kind(eighth).memory_gb == 3.0
    assert kind(other) is None
    assert kind({**eighth, "Name": "A100", "MemoryInfo": {"SizeInMiB": 81920}}).gpu == "A100 80GB"


def test_what_the_price_list_says_of_other_things_is_left_out():
    other = json.dumps(
        {"product": {"attributes": {"instanceType": "g5.xlarge"}}, "terms": {"Reserved": {}}}
    )
    assert prices.read([other, listed("g5.xlarge", "eu-west-1", "1.1")]) == {
        ("g5.xlarge", "eu-west-1"): 1.1
    }
