"""What the shop keeps."""

from __future__ import annotations

from django.db import models


class Product(models.Model):
    """Something to buy."""

    name = models.CharField(max_length=50)
    stock = models.IntegerField()

    def __str__(self) -> str:
        return self.name


class Order(models.Model):
    """So many of a product, for one customer."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE)
    quantity = models.PositiveIntegerField()
    email = models.EmailField()

    def __str__(self) -> str:
        return f"order of {self.quantity} x {self.product}"


class Payment(models.Model):
    """Money for an order."""

    amount = models.DecimalField(max_digits=8, decimal_places=2)

    def __str__(self) -> str:
        return f"payment of {self.amount}"


class Review(models.Model):
    """What a customer thinks; the score is worked out from the text when it is saved."""

    text = models.TextField()
    score = models.IntegerField(default=0)

    def __str__(self) -> str:
        return f"review {self.text!r}"


class Customer(models.Model):
    """Who buys; the region is looked up by a task when the postcode is saved."""

    postcode = models.CharField(max_length=10)
    region = models.CharField(max_length=20, blank=True)

    def __str__(self) -> str:
        return f"customer in {self.postcode}"


class AuditLine(models.Model):
    """One line of the shop's books."""

    text = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.text


class Shipment(models.Model):
    """Goods that have to leave the house."""

    address = models.CharField(max_length=50)

    def __str__(self) -> str:
        return f"shipment to {self.address}"


class Parcel(models.Model):
    """What is packed: two for one shipment would be one too many."""

    shipment = models.ForeignKey(Shipment, on_delete=models.CASCADE, related_name="parcels")

    def __str__(self) -> str:
        return f"parcel of {self.shipment}"


class CatalogueEntry(models.Model):
    """A line of a supplier's catalogue. They come by the hundred thousand."""

    title = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.title


class IndexedEntry(models.Model):
    """What the search knows of a catalogue entry: a row for each time the entry was indexed."""

    entry = models.ForeignKey(CatalogueEntry, on_delete=models.CASCADE, related_name="indexed")
    words = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.words
