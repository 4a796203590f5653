import { useRef, useState, type ReactNode } from 'react';
import { Button } from '@beckon/react';
import { errorText } from './api.js';

/** A column of a table. */
export interface Column<T> {
  name: string;
  of: (row: T) => ReactNode;
  number?: boolean;
}

export function Table<T>({
  caption,
  columns,
  rows,
  id,
  empty,
  more,
  onPick,
}: {
  caption: string;
  columns: Column<T>[];
  rows: T[];
  id: (row: T) => string;
  empty: string;
  more?: (() => void) | undefined;
  onPick?: (row: T) => void;
}): ReactNode {
  return (
    <div className="table">
      <table>
        <caption>{caption}</caption>
        <thead>
          <tr>
            {columns.map((c) => (
              <th key={c.name} scope="col" className={c.number ? 'number' : ''}>
                {c.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((r) => (
            <tr key={id(r)} className={onPick ? 'pick' : ''} onClick={onPick ? () => onPick(r) : undefined}>
              {columns.map((c) => (
                <td key={c.name} className={c.number ? 'number' : ''}>
                  {c.of(r)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length === 0 && <p className="muted pad">{empty}</p>}
      {more && (
        <p className="pad">
          <Button onClick={more}>More</Button>
        </p>
      )}
    </div>
  );
}

/** A button for an action that needs a confirmation. It shows the result. */
export function Act({
  label,
  sure,
  run,
  onDone,
}: {
  label: string;
  sure: string;
  run: () => Promise<unknown>;
  onDone?: () => void;
}): ReactNode {
  const [asking, setAsking] = useState(false);
  const [state, setState] = useState('');
  const busy = useRef(false);
  const go = (): void => {
    if (busy.current) return;
    busy.current = true;
    setAsking(false);
    run()
      .then(
        () => {
          setState('done');
          onDone?.();
        },
        (err: unknown) => setState(errorText(err)),
      )
      .finally(() => {
        busy.current = false;
      });
  };
  if (asking) {
    return (
      <span className="act">
        <Button
          tone="stop"
          onClick={(e) => {
            e.stopPropagation();
            go();
          }}
        >
          {sure}
        </Button>
        <Button
          tone="quiet"
          onClick={(e) => {
            e.stopPropagation();
            setAsking(false);
          }}
        >
          Back
        </Button>
      </span>
    );
  }
  return (
    <span className="act">
      <Button
        onClick={(e) => {
          e.stopPropagation();
          setAsking(true);
        }}
      >
        {label}
      </Button>
      {state && (
        <span role="status" className={state === 'done' ? 'muted' : 'wrong'}>
          {state}
        </span>
      )}
    </span>
  );
}

/** A search field. onText is called 250 ms after the last keystroke. */
export function Search({ label, onText }: { label: string; onText: (text: string) => void }): ReactNode {
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  return (
    <label className="search">
      <span>{label}</span>
      <input
        type="search"
        onChange={(e) => {
          const { value } = e.target;
          clearTimeout(timer.current);
          timer.current = setTimeout(() => onText(value.trim()), 250);
        }}
      />
    </label>
  );
}

export function Problem({ text }: { text: string }): ReactNode {
  return text ? (
    <p className="banner error" role="alert">
      <span>{text}</span>
    </p>
  ) : null;
}
