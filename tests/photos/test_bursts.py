from datetime import datetime, timedelta

from fixtures.photos.bursts import bursts


def test_bursts_are_photos_of_one_folder_close_in_time():
    start = datetime(2026, 7, 1, 12)
    names = ["a/1.jpg", "a/2.jpg", "a/3.jpg", "b/1.jpg", "a/4.jpg", "c/x.jpg", "c/y.jpg"]
    taken = [start, start + timedelta(seconds=59), start + timedelta(seconds=118), start, start + timedelta(hours=1)]
    found = bursts(names, [*taken, None, None])
    assert found[0] == found[1] == found[2]
    assert len(set(found.tolist())) == 5
    # In whatever order they are named.
    again = bursts(names[::-1], [None, None, *taken[::-1]])[::-1]
    assert len({(a, b) for a, b in zip(found.tolist(), again.tolist(), strict=True)}) == 5
