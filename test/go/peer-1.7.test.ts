/** The client of containerd 1.7, on the machine's containerd, which is 1.6: see peer-suite.ts. */
import { formerPeer } from '../support/go-programs.js';
import { OF_THE_DAEMON, OF_THE_DAEMON_OLDER, OF_THE_SHIM } from './differences.js';
import { peerSuite } from './peer-suite.js';

peerSuite({
  name: "the client of containerd 1.7, on the machine's containerd",
  build: () => ({ program: formerPeer(), containerd: '/usr/bin' }),
  ofTheShim: OF_THE_SHIM,
  ofTheDaemon: [...OF_THE_DAEMON, ...OF_THE_DAEMON_OLDER],
});
