/** hawser ps, by itself: it is asked most, and starts sooner where nothing else has to be read (packaging/load.cjs). */
import { begin } from './begin.js';
import { listingCommands } from './program/listing.js';
import { topCommand } from './program/top.js';

begin(() => {
  const top = topCommand();
  listingCommands(top);
  return top;
});
