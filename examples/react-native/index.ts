// The start of the program, also of the one that a push starts without a user interface.
import { registerGlobals } from '@livekit/react-native';
import { AppRegistry } from 'react-native';
import { name } from './app.json';
import { App } from './src/App';
import './src/phone'; // before the app: a push waits for it

registerGlobals(); // WebRTC
AppRegistry.registerComponent(name, () => App);
