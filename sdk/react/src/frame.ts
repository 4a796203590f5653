/** The time between two updates of a page that is not visible, in milliseconds: it has no frames. */
const hiddenFrame = 200;

/** Subscribes a handler that runs once per frame for any number of changes: a burst of events would block the page. */
export function oncePerFrame(handler: () => void, subscribe: (changed: () => void) => () => void): () => void {
  let cancel: (() => void) | undefined;
  const run = (): void => {
    cancel = undefined;
    handler();
  };
  const unsubscribe = subscribe(() => {
    if (cancel) return;
    if (document.hidden) {
      const timer = setTimeout(run, hiddenFrame);
      cancel = () => clearTimeout(timer);
    } else {
      const frame = requestAnimationFrame(run);
      cancel = () => cancelAnimationFrame(frame);
    }
  });
  return () => {
    unsubscribe();
    cancel?.();
  };
}
