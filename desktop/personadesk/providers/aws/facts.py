"""AWS EC2 as data: its words, its links, the rights that its key needs, and what it can and cannot do.

Rules and names: botocore's service model of EC2 (2016-11-15), the EC2 user guide, and the service authorization
reference, as read in November 2026.
"""

from __future__ import annotations

from personadesk.domain.machine import OWNER_LABEL
from personadesk.domain.provider import (
    YES,
    Answer,
    Capabilities,
    Estimate,
    Field,
    FourAnswers,
    Manners,
    Promise,
    ProviderFacts,
    no,
    yes,
)
from personadesk.domain.text import T
from personadesk.providers.aws import prices

RIGHTS: tuple[str, ...] = (
    "ec2:AllocateAddress", "ec2:AssociateAddress", "ec2:AuthorizeSecurityGroupIngress",
    "ec2:CreateSecurityGroup", "ec2:CreateTags", "ec2:DeleteKeyPair", "ec2:DeleteSecurityGroup",
    "ec2:DeleteVolume", "ec2:DescribeAddresses", "ec2:DescribeImages", "ec2:DescribeInstanceStatus",
    "ec2:DescribeInstanceTypeOfferings", "ec2:DescribeInstanceTypes", "ec2:DescribeInstances",
    "ec2:DescribeKeyPairs", "ec2:DescribeRegions", "ec2:DescribeSecurityGroups",
    "ec2:DescribeSpotPriceHistory", "ec2:DescribeVolumes", "ec2:DescribeVpcs",
    "ec2:DisassociateAddress", "ec2:GetConsoleOutput", "ec2:ImportKeyPair", "ec2:RebootInstances", "ec2:ReleaseAddress",
    "ec2:RunInstances", "ec2:StartInstances", "ec2:StopInstances", "ec2:TerminateInstances",
    "pricing:GetProducts", "servicequotas:GetServiceQuota", "ssm:GetParameter",
)  # fmt: skip
"""All that is ever asked, by the names that a policy uses; `sts:GetCallerIdentity` needs no right."""

IMAGE_PARAMETER = (
    "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-22.04/latest/ami-id"
)
"""Public parameter with the id of AWS's own Ubuntu with NVIDIA's driver; every region has its own image."""
IMAGE_USER = "ubuntu"

TAG = OWNER_LABEL
"""On everything of ours; its value is the deploy's tag, "" on what all deploys share."""
PRICE_TAG = "personadesk-price"
DISK_TAG = "personadesk-disk"
SSH_TAG = "personadesk-ssh"
"""`USER:PORT` on an instance whose SSH daemon is another than its image's; anybody who changed it may put it there."""
ADDRESS_TAG = "personadesk-address"
"""On an instance that is to have an Elastic IP, which can be hung on it only once it runs."""

PLACES = {
    "us-east-1": "Virginia, US", "us-east-2": "Ohio, US", "us-west-1": "California, US", "us-west-2": "Oregon, US",
    "ca-central-1": "Montreal, Canada", "sa-east-1": "São Paulo, Brazil", "mx-central-1": "Querétaro, Mexico",
    "eu-west-1": "Ireland", "eu-west-2": "London, UK", "eu-west-3": "Paris, France",
    "eu-central-1": "Frankfurt, Germany", "eu-central-2": "Zurich, Switzerland", "eu-north-1": "Stockholm, Sweden",
    "eu-south-1": "Milan, Italy", "eu-south-2": "Aragon, Spain", "ap-south-1": "Mumbai, India",
    "ap-northeast-1": "Tokyo, Japan", "ap-northeast-2": "Seoul, South Korea", "ap-northeast-3": "Osaka, Japan",
    "ap-southeast-1": "Singapore", "ap-southeast-2": "Sydney, Australia", "ap-southeast-3": "Jakarta, Indonesia",
    "ap-southeast-4": "Melbourne, Australia", "ap-east-1": "Hong Kong", "il-central-1": "Tel Aviv, Israel",
    "me-central-1": "UAE", "me-south-1": "Bahrain", "af-south-1": "Cape Town, South Africa",
}  # fmt: skip
"""Regions for people."""

QUOTAS = {("g", False): "L-DB2E81BA", ("g", True): "L-3819A6DF", ("p", False): "L-417A185B"}
"""Quota of vCPUs by an instance type's first letter and whether it is spot; spot P has one a generation."""
QUOTA_PAGE = (
    "https://console.aws.amazon.com/servicequotas/home/services/ec2/quotas/{quota}?region={region}"
)
"""Where one quota is told and more is asked for."""
ADDRESS_QUOTA = "L-0263D0A3"
"""Elastic IPs of a region (5 unless raised)."""

FACTS = ProviderFacts(
    id="aws",
    title="AWS EC2",
    short="AWS",
    site="https://console.aws.amazon.com/ec2/home#Instances:",
    billing="https://console.aws.amazon.com/billing/home",
    docs="https://docs.aws.amazon.com/AWSEC2/latest/APIReference/",
    quota="https://console.aws.amazon.com/servicequotas/home/services/ec2/quotas",
    status="https://health.aws.amazon.com/health/status",
    base_url="https://ec2.us-east-1.amazonaws.com",
    cheapest=Estimate(prices.TABLE["g6.xlarge"], "L4", prices.TABLE_DATE),
    unit="instance",
    fields=(
        Field(
            "access_key_id",
            T("Access key ID"),
            where="https://console.aws.amazon.com/iam/home#/security_credentials",
            rights=T(
                "AmazonEC2FullAccess, AmazonSSMReadOnlyAccess, ServiceQuotasReadOnlyAccess and"
                " AWSPriceListServiceFullAccess; a smaller policy stands in the help."
            ),
            pattern=r"[A-Z0-9]{16,128}",
        ),
        Field(
            "secret_access_key",
            T("Secret access key"),
            where="https://console.aws.amazon.com/iam/home#/security_credentials",
            rights=T("Shown once, when the access key is made."),
            pattern=r"[A-Za-z0-9/+=]{20,128}",
        ),
        Field(
            "session_token",
            T("Session token"),
            where="https://console.aws.amazon.com/singlesignon/home",
            rights=T("Only for keys that begin with ASIA; they end after some hours."),
            optional=True,
        ),
        Field(
            "region",
            T("Region"),
            where="https://console.aws.amazon.com/billing/home#/account",
            rights=T("One region, or several with commas between them: us-east-1, eu-west-1"),
            secret=False,
            optional=True,
            default="us-east-1",
            pattern=r"[a-z]{2,4}(-[a-z]+)+-\d+(\s*,\s*[a-z]{2,4}(-[a-z]+)+-\d+)*",
        ),
    ),
    can=Capabilities(
        stop=yes(T("Not for a spot instance: it can only be ended.")),
        start=yes(T("Fails when no GPU of the kind is free in its zone at that moment.")),
        restart=YES,
        volume=no(
            T(
                "Its own disk stays while it is stopped. A separate EBS volume could be used only in"
                " its own zone, where the GPU may be sold out."
            )
        ),
        static_address=yes(T("An Elastic IP, billed about $0.005 per hour, also while stopped.")),
        spot=yes(T("Cheaper; AWS takes it back with two minutes' notice, and its disk with it.")),
        balance=no(T("AWS bills afterwards; it tells no balance.")),
        prices=yes(
            T("From AWS's price list where the key may read it; otherwise from a dated table (≈).")
        ),
        stock=no(T("AWS doesn't tell what is free; it refuses when nothing is.")),
        logs=yes(T("The last 64 KB that the machine wrote to its console.")),
        figures=no(T("AWS measures no GPUs; the host tells them over SSH.")),
        known_host_key=YES,
        idempotent=YES,
        ends_itself=yes(T("Shutting down from within ends it when a lease was asked for.")),
    ),
    answers=FourAnswers(
        keeps_gpu=Promise(
            Answer.PARTLY, T("The GPU is kept while it runs; a stopped one may find none.")
        ),
        keeps_address=Promise(Answer.YES, T("With an Elastic IP, which is billed.")),
        simple=Promise(
            Answer.YES, T("It starts and stops like a computer; the disk stays billed.")
        ),
        starts_itself=Promise(
            Answer.YES, T("PersonaDesk's service on it starts the voice after each boot.")
        ),
    ),
    manners=Manners(
        per_second=10.0, burst=20, create_every_s=0.5, poll_s=5.0, calm_poll_s=30.0, boot_limit_s=600.0
    ),
    stop_costs=T("Its disk (about $0.08 per GB and month) and a fixed address stay billed."),
    end_destroys=T("Its disk with everything on it, and its fixed address."),
)  # fmt: skip
