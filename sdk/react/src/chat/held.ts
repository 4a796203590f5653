// Lines that stay in the document while they are out of view: those with an open dialog, or with sound that plays.
import { createContext, useContext, useEffect } from 'react';

/** Holds the line around a component, or releases it. */
export const HoldContext = createContext<(on: boolean) => void>(() => undefined);

/** Holds the line around a component while on. */
export function useHold(on: boolean): void {
  const hold = useContext(HoldContext);
  useEffect(() => {
    if (!on) return;
    hold(true);
    return () => hold(false);
  }, [hold, on]);
}
