export { didYouMean } from '../text/nearest.js';
