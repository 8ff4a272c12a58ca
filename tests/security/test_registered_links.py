"""The studio's own page links nothing that a stranger registered."""

from tests.support.browser import Browser
from tests.support.registration import registered, registering
from tests.support.server import running


async def test_E11_a_client_that_nobody_let_in_puts_no_link_on_the_first_page() -> None:
    async with running(edit=registering(mode="open")) as server:
        link = "https://page.example/login"
        await registered(server, token="", client_name="Demo shop", initiate_login_uri=link)
        browser = Browser(server)
        await browser.sign_in()
        home = await browser.open("/login")
        assert 'id="player"' in home.html
        assert "page.example" not in home.html
