"""Opens the store named in the configuration, for the daemon and the command line."""

from routeraudio.config.schema import Config, store_url
from routeraudio.config.state import database_file, make_folder
from routeraudio.model.errors import ConfigFault
from routeraudio.store.connect import open_store
from routeraudio.store.contract import Store


def open_configured_store(config: Config) -> Store:
    """The store of the configuration; the folder of a database file is made where it is missing.

    Raises:
        ConfigFault: it cannot be opened.
    """
    url = store_url(config.store)
    file = database_file(url)
    if file is not None:
        try:
            make_folder(file.parent)
        except OSError as error:
            raise ConfigFault(f"store.url: {file.parent} cannot be made: {error.strerror}") from None
    return open_store(url, statement_s=config.store.statement_s)
