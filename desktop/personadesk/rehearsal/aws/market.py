"""What the pretend AWS has for rent, and where it tells so: kinds of instances, zones, prices, images and quotas."""

from __future__ import annotations

import hashlib
import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from personadesk.rehearsal.aws.api import AwsApi, call
from personadesk.rehearsal.aws.shapes import Said
from personadesk.rehearsal.things import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from personadesk.rehearsal.http import Request

REGIONS = ("eu-west-1", "us-east-1")
VPCS = {region: f"vpc-{number:017x}" for number, region in enumerate(REGIONS, 0xA1)}
IMAGE_GB = 45
OWNER = "123456789012"
"""Number of the account."""
_QUOTAS = {
    "L-DB2E81BA": "Running On-Demand G and VT instances", "L-3819A6DF": "All G and VT Spot Instance Requests",
    "L-417A185B": "Running On-Demand P instances",
}  # fmt: skip
_VCPUS = 192.0
"""Quota where the account has none of its own."""
_VCPUS_A_GPU = 4
_SPOT = 0.4
"""Share of the price on demand."""


def _kind(ref: str, gpu: str, mib: int, vcpus: int, price: float, **stock: int | None) -> Kind:
    return Kind(
        ref, gpu, round(mib / 1024), price, stopped_price=0.01, spot_price=round(price * _SPOT, 4),
        stock={zone.replace("_", "-"): free for zone, free in stock.items()},
        data={"mib": mib, "vcpus": vcpus},
    )  # fmt: skip


KINDS = (
    _kind("g4dn.xlarge", "T4", 16384, 4, 0.526, us_east_1a=4, us_east_1b=4, eu_west_1a=4),
    _kind("g6.xlarge", "L4", 22888, 4, 0.805, us_east_1a=2, us_east_1b=2, eu_west_1a=1),
    _kind("g5.xlarge", "A10G", 24576, 4, 1.006, us_east_1a=0, us_east_1b=3, eu_west_1a=2),
    _kind("g6e.xlarge", "L40S", 45776, 4, 1.861, us_east_1a=1, us_east_1b=0),
    _kind("p5.4xlarge", "H100", 81920, 16, 6.88, us_east_1b=1),
)


def region_of(zone: str) -> str:
    """Return the region of a zone."""
    return zone[:-1]


def image_of(region: str) -> str:
    """Return the id of AWS's GPU image in a region; every region has its own."""
    return f"ami-{hashlib.sha256(region.encode()).hexdigest()[:17]}"


def fits(filters: Iterable[Mapping[str, Any]], facts: Mapping[str, Sequence[str]]) -> bool:
    """Whether something passes EC2's filters.

    Args:
        filters: As asked: `[{"Name": …, "Values": […]}]`.
        facts: What it is by the filters' names.

    Raises:
        Said: A filter is not known here.
    """
    for each in filters:
        name = str(each["Name"])
        if name not in facts and not name.startswith("tag:"):
            raise Said("InvalidParameterValue", f"The filter '{name}' is invalid")
        wanted = [str(value) for value in each["Values"]]
        if not any(fnmatchcase(has, want) for has in facts.get(name, ()) for want in wanted):
            return False
    return True


def tags_of(labels: Mapping[str, str]) -> list[dict[str, str]]:
    """Return labels as EC2 tells them."""
    return [{"Key": key, "Value": value} for key, value in labels.items()]


def tag_facts(labels: Mapping[str, str]) -> dict[str, list[str]]:
    """Return labels by the names of EC2's filters."""
    return {"tag-key": list(labels), **{f"tag:{key}": [value] for key, value in labels.items()}}


class Market(AwsApi):
    """What needs no machine."""

    kinds = KINDS

    def _here(self, request: Request) -> list[tuple[Kind, str]]:
        """Return each kind with each zone of the request's region that has it."""
        region = self.region_of(request)
        return [(kind, zone) for kind, zone, _ in self.world.offers() if region_of(zone) == region]

    @call("ec2", "DescribeRegions")
    def regions(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Tell the regions that the account has switched on."""
        told = [
            {
                "RegionName": region, "Endpoint": f"ec2.{region}.amazonaws.com",
                "OptInStatus": "opt-in-not-required",
            }
            for region in REGIONS
        ]  # fmt: skip
        return {"Regions": told}

    @call("ec2", "DescribeVpcs")
    def vpcs(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Tell the default network."""
        vpc = {
            "VpcId": VPCS[self.region_of(request)], "IsDefault": True, "State": "available",
            "CidrBlock": "172.31.0.0/16", "InstanceTenancy": "default", "OwnerId": OWNER,
        }  # fmt: skip
        found = [vpc] if fits(wish.get("Filters", ()), {"is-default": ["true"]}) else []
        return {"Vpcs": found}

    @call("ec2", "DescribeInstanceTypes")
    def types(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Tell kinds of instances with their GPUs."""
        told = []
        for kind in dict.fromkeys(kind.ref for kind, _ in self._here(request)):
            facts = {
                "instance-type": [kind], "bare-metal": ["false"],
                "processor-info.supported-architecture": ["x86_64"],
            }  # fmt: skip
            if fits(wish.get("Filters", ()), facts):
                told.append(_type(self.world.held.kinds[kind]))
        return {"InstanceTypes": told}

    @call("ec2", "DescribeInstanceTypeOfferings")
    def offerings(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Tell which zones have which kinds; what is free just now AWS does not tell."""
        told = [
            {"InstanceType": kind.ref, "LocationType": "availability-zone", "Location": zone}
            for kind, zone in self._here(request)
            if fits(wish.get("Filters", ()), {"instance-type": [kind.ref], "location": [zone]})
        ]
        return {"InstanceTypeOfferings": told}

    @call("ec2", "DescribeSpotPriceHistory")
    def spot_prices(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Tell what spot costs now."""
        wanted = wish.get("InstanceTypes")
        told = [
            {
                "AvailabilityZone": zone, "InstanceType": kind.ref, "ProductDescription": "Linux/UNIX",
                "SpotPrice": f"{kind.spot_price:.6f}", "Timestamp": self.world.now(),
            }
            for kind, zone in self._here(request)
            if not wanted or kind.ref in wanted
        ]  # fmt: skip
        return {"SpotPriceHistory": told}

    @call("ec2", "DescribeImages")
    def images(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Tell the one image."""
        image = image_of(self.region_of(request))
        if wish.get("ImageIds") != [image]:
            raise Said(
                "InvalidAMIID.NotFound", f"The image id '{wish.get('ImageIds')}' does not exist"
            )
        disk = {"VolumeSize": IMAGE_GB, "VolumeType": "gp3", "DeleteOnTermination": True}
        told = {
            "ImageId": image, "State": "available", "Architecture": "x86_64", "RootDeviceName": "/dev/sda1",
            "RootDeviceType": "ebs", "OwnerId": "898082745236", "ImageOwnerAlias": "amazon", "Public": True,
            "Name": "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04)", "VirtualizationType": "hvm",
            "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": disk}],
        }  # fmt: skip
        return {"Images": [told]}

    @call("ssm", "GetParameter")
    def parameter(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Tell the id of AWS's newest GPU image."""
        name = wish["Name"]
        if "/deeplearning/ami/" not in name:
            raise Said("ParameterNotFound", f"Parameter {name} not found.")
        region = self.region_of(request)
        told = {
            "Name": name, "Type": "String", "Value": image_of(region), "Version": 1, "DataType": "text",
            "ARN": f"arn:aws:ssm:{region}::parameter{name}",
        }  # fmt: skip
        return {"Parameter": told}

    @call("servicequotas", "GetServiceQuota")
    def quota(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Tell how many vCPUs the account may run."""
        code = wish["QuotaCode"]
        if code not in _QUOTAS:
            raise Said("NoSuchResourceException", f"There is no quota {code}.")
        most = request.account.quota
        told = {
            "ServiceCode": "ec2", "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
            "QuotaCode": code, "QuotaName": _QUOTAS[code], "Unit": "None", "Adjustable": True,
            "Value": _VCPUS if most is None else float(most * _VCPUS_A_GPU),
        }  # fmt: skip
        return {"Quota": told}

    @call("pricing", "GetProducts")
    def products(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Tell prices on demand; filters other than kind and region narrow to what these are anyway."""
        wanted = {each["Field"]: each["Value"].split(",") for each in wish.get("Filters", ())}
        lines = []
        for kind in self.world.held.kinds.values():
            for region in sorted({region_of(zone) for zone in kind.stock}):
                is_asked = kind.ref in wanted.get("instanceType", [kind.ref])
                if is_asked and region in wanted.get("regionCode", [region]):
                    lines.append(json.dumps(_product(kind, region)))
        return {"FormatVersion": "aws_v1", "PriceList": lines}


def _type(kind: Kind) -> dict[str, Any]:
    gpu = {
        "Name": kind.gpu, "Manufacturer": "NVIDIA", "Count": kind.count,
        "MemoryInfo": {"SizeInMiB": kind.data["mib"]},
    }  # fmt: skip
    vcpus = kind.data["vcpus"]
    return {
        "InstanceType": kind.ref, "CurrentGeneration": True, "BareMetal": False, "Hypervisor": "nitro",
        "SupportedUsageClasses": ["on-demand", "spot"],
        "ProcessorInfo": {"SupportedArchitectures": ["x86_64"]},
        "VCpuInfo": {"DefaultVCpus": vcpus, "DefaultCores": vcpus // 2, "DefaultThreadsPerCore": 2},
        "MemoryInfo": {"SizeInMiB": vcpus * 4096},
        "GpuInfo": {"Gpus": [gpu], "TotalGpuMemoryInMiB": kind.count * kind.data["mib"]},
    }  # fmt: skip


def _product(kind: Kind, region: str) -> dict[str, Any]:
    dimension = {"unit": "Hrs", "pricePerUnit": {"USD": f"{kind.price:.10f}"}}
    return {
        "product": {
            "productFamily": "Compute Instance", "sku": kind.ref.upper(),
            "attributes": {"instanceType": kind.ref, "regionCode": region, "operatingSystem": "Linux"},
        },
        "serviceCode": "AmazonEC2",
        "terms": {"OnDemand": {f"{kind.ref}.J": {"priceDimensions": {f"{kind.ref}.J.6": dimension}}}},
    }  # fmt: skip
