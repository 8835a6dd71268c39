"""What is written to Azure: the five things of which a machine is made there, all in one group."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from personadesk.domain.machine import OWNER_LABEL
from personadesk.providers import access
from personadesk.providers.azure.facts import (
    DISK_TYPE,
    GRID_DRIVER,
    IMAGE,
    LICENSED,
    PLAIN_IMAGE,
    USER,
)

if TYPE_CHECKING:
    from personadesk.domain.machine import Order

SUBNET = "default"


def name_of(order: Order) -> str:
    """Return the name of an order's group and of all in it, unique to the try."""
    return order.token or order.tag


def group(order: Order) -> dict[str, Any]:
    """Return the group; whoever finds it knows whose it is."""
    return {"location": order.offer.region, "tags": _tags(order)}


def firewall(order: Order) -> dict[str, Any]:
    """Return a security group that lets SSH in and nothing else."""
    rule = {
        "protocol": "Tcp", "access": "Allow", "direction": "Inbound", "priority": 1000,
        "sourceAddressPrefix": "*", "sourcePortRange": "*",
        "destinationAddressPrefix": "*", "destinationPortRange": "22",
    }  # fmt: skip
    rules = [{"name": "ssh", "properties": rule}]
    return {**group(order), "properties": {"securityRules": rules}}


def network(order: Order) -> dict[str, Any]:
    """Return a network of its own."""
    subnet = {"name": SUBNET, "properties": {"addressPrefix": "10.0.0.0/24"}}
    space = {"addressPrefixes": ["10.0.0.0/16"]}
    return {**group(order), "properties": {"addressSpace": space, "subnets": [subnet]}}


def address(order: Order) -> dict[str, Any]:
    """Return a public address that stays over stop and start."""
    return {
        **group(order),
        "sku": {"name": "Standard"},
        "properties": {"publicIPAllocationMethod": "Static", "publicIPAddressVersion": "IPv4"},
    }


def interface(order: Order, *, subnet_id: str, address_id: str, firewall_id: str) -> dict[str, Any]:
    """Return what ties the machine to address, network and firewall."""
    way = {
        "name": "main",
        "properties": {
            "subnet": {"id": subnet_id},
            "publicIPAddress": {"id": address_id},
            "privateIPAllocationMethod": "Dynamic",
        },
    }
    properties = {"ipConfigurations": [way], "networkSecurityGroup": {"id": firewall_id}}
    return {**group(order), "properties": properties}


def machine(order: Order, *, interface_id: str) -> dict[str, Any]:
    """Return the machine itself."""
    name, size = name_of(order), order.offer.ref
    keys = f"/home/{USER}/.ssh/authorized_keys"
    profile: dict[str, Any] = {
        "computerName": name,
        "adminUsername": USER,
        "linuxConfiguration": {
            "disablePasswordAuthentication": True,
            "ssh": {"publicKeys": [{"path": keys, "keyData": order.public_key.strip()}]},
        },
    }
    if config := _cloud_config(order):
        profile["customData"] = base64.b64encode(config.encode()).decode()
    properties: dict[str, Any] = {
        "hardwareProfile": {"vmSize": size},
        "storageProfile": {
            "imageReference": PLAIN_IMAGE if LICENSED in size else IMAGE,
            "osDisk": {
                "createOption": "FromImage", "deleteOption": "Delete", "diskSizeGB": order.disk_gb,
                "managedDisk": {"storageAccountType": DISK_TYPE},
            },
        },
        "osProfile": profile,
        "networkProfile": {
            "networkInterfaces": [{"id": interface_id, "properties": {"deleteOption": "Delete"}}]
        },
    }  # fmt: skip
    if order.offer.spot:
        # Taken back, it keeps its disk; the price may go up to that of a machine of one's own.
        properties |= {
            "priority": "Spot", "evictionPolicy": "Deallocate", "billingProfile": {"maxPrice": -1},
        }  # fmt: skip
    return {**group(order), "properties": properties}


def _cloud_config(order: Order) -> str:
    driver = {"runcmd": [["sh", "-c", GRID_DRIVER]]} if LICENSED in order.offer.ref else None
    return access.cloud_config(order, further=driver)


def _tags(order: Order) -> dict[str, str]:
    return {OWNER_LABEL: order.tag}
