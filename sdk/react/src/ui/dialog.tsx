import { useEffect, useRef, type ReactNode } from 'react';
import { useCovered, useText } from '../use.js';
import { IconButton } from './button.js';

/**
 * A modal dialog. It takes the keyboard focus itself, so that typed keys press no button. Escape closes it. The start
 * of a call closes it, unless it belongs to the call.
 */
export function Dialog({
  title,
  onClose,
  children,
  className = '',
  ofCall = false,
}: {
  title: string;
  onClose: () => void;
  children: ReactNode;
  className?: string;
  ofCall?: boolean;
}): ReactNode {
  const t = useText();
  const ref = useRef<HTMLDialogElement>(null);
  const covered = useCovered();
  useEffect(() => {
    if (covered && !ofCall) onClose();
  });
  useEffect(() => {
    const dialog = ref.current;
    if (dialog && !dialog.open) {
      dialog.showModal();
      dialog.focus();
    }
  }, []);
  return (
    <dialog
      ref={ref}
      tabIndex={-1}
      className={`dialog ${className}`}
      aria-label={title}
      onCancel={(e) => {
        e.preventDefault();
        onClose();
      }}
    >
      <header>
        <h2>{title}</h2>
        <IconButton icon="close" label={t('close')} onClick={onClose} />
      </header>
      {children}
    </dialog>
  );
}
