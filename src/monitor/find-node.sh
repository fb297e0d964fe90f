# For the programs' scripts, where the library ($lib) has no link to a Node, as a package from npm has none: npm leaves links
# out. Sets $node to the Node beside which npm has put the link to the program ($self, called $name; PREFIX/bin, for what lies
# in PREFIX/lib/node_modules), else to that of PATH; empty where there is none. node.c, for the shim, does the same.
node=
case $self in
  */lib/node_modules/*)
    prefix=${self%/lib/node_modules/*}
    # Only with the link is the directory known to be npm's, and not anybody's.
    if [ "$prefix/bin/$name" -ef "$self" ] && [ -x "$prefix/bin/node" ]; then node=$prefix/bin/node; fi
    ;;
esac
if [ -z "$node" ]; then node=$(command -v node) || node=; fi
if [ -z "$node" ]; then
  echo "$name: there is no Node to run it: $lib/node leads to none, and PATH ($PATH) has none; install Node 20 or later, or make $lib/node a link to it" >&2
fi
