import pytest
from django.db import transaction
from django.db.models.signals import post_save
from signals_plus import receiver_on_commit
from tests.testapp.models import Item

def test_x(database, django_capture_on_commit_callbacks):
    got=[]
    @receiver_on_commit(post_save, sender=Item)
    def f(instance, **kw): got.append(instance.pk)
    with django_capture_on_commit_callbacks(execute=True):
      with transaction.atomic():
        i=Item.objects.create(name="x")
        with transaction.atomic(using="other"): Item(name="y").save(using="other")
    assert i.pk in got
