// One worker: server.mjs SITE DATABASE PORT, and `group-commit` to share commits.

import { Store } from './adapter.mjs';
import { open, readSite } from './provider.mjs';

const [site, database, port, how] = process.argv.slice(2);
const server = open(new Store(database, { groupCommit: how === 'group-commit' }), readSite(site)).listen(Number(port), '127.0.0.1');
server.keepAliveTimeout = 75_000;
process.on('SIGTERM', () => process.exit(0));
