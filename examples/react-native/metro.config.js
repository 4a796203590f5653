const os = require('node:os');
const path = require('node:path');
const { getDefaultConfig, mergeConfig } = require('@react-native/metro-config');
const { FileStore } = require('metro-cache');

module.exports = mergeConfig(getDefaultConfig(__dirname), {
  cacheStores: [new FileStore({ root: path.join(__dirname, 'node_modules/.cache/metro') })],
  maxWorkers: os.availableParallelism(),
});
