from django.db import models


class Order(models.Model):
    customer = models.TextField()
    placed = models.DateTimeField(auto_now_add=True)
