// One worker: server.mjs SITE DATABASE PORT.

import { Store } from './adapter.mjs';
import { open, readSite } from './provider.mjs';

const [site, database, port] = process.argv.slice(2);
const server = open(new Store(database), readSite(site)).listen(Number(port), '127.0.0.1');
server.keepAliveTimeout = 75_000;
process.on('SIGTERM', () => process.exit(0));
