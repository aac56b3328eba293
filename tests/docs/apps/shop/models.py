"""The models that README and docs speak of."""

from __future__ import annotations

from django.db import models


class Product(models.Model):
    name = models.CharField(max_length=50)
    stock = models.IntegerField(default=0)


class Order(models.Model):
    number = models.CharField(max_length=20)
    email = models.EmailField(default="ann@example.com")
    product = models.ForeignKey(Product, models.CASCADE, null=True)
    quantity = models.IntegerField(default=1)
    total = models.IntegerField(default=0)
    paid = models.BooleanField(default=False)


class Invoice(models.Model):
    order = models.ForeignKey(Order, models.CASCADE)
    reminders = models.IntegerField(default=0)


class Page(models.Model):
    title = models.CharField(max_length=50)
    text = models.TextField(default="")
    words = models.IntegerField(default=0)
