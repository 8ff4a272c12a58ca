"""The provider's own routes: tokens, introspection and OpenID Connect, without its pages for managing clients."""

from django.urls import include, path
from oauth2_provider.urls import base_urlpatterns, oidc_urlpatterns

urlpatterns = [path("", include((base_urlpatterns + oidc_urlpatterns, "oauth2_provider")))]
