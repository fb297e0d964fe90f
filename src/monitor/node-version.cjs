'use strict';
// Loaded first where nobody has chosen the Node that runs. Written for any version, as it is there to refuse old ones.
var path = require('path');

if (parseInt(process.versions.node, 10) < 20) {
  var program = process.argv[1] === undefined ? '' : path.basename(process.argv[1]);
  process.stderr.write('hawser: ' + process.execPath + ' is Node ' + process.versions.node + ', which is too old: install Node 20 or later, or make ' + path.join(__dirname, 'node') + ' a link to one\n');
  // The command line has docker's exit statuses.
  process.exit(program === 'hawser.cjs' ? 125 : 1);
}
