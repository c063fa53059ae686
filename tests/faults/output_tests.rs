//! Tests of `output`.

use crate::output::*;
use crate::pattern;
use crate::recorder::{Life, parse};

const KEY: u64 = 40;

fn life(end: &str) -> Life {
    parse(&format!("start 10 99\nwrote 4 4\nbeat 1\nwrote 8 6\n{end}")).remove(0)
}

fn streams(stdout: usize, stderr: usize) -> [Vec<u8>; 2] {
    [pattern::bytes(KEY, 0, stdout), pattern::bytes(KEY + 1, 0, stderr)]
}

#[test]
fn a_whole_stream_has_every_byte_and_no_other() {
    let ended = life("end 7\n");
    assert_eq!(check_streams(KEY, &ended, Extent::Whole, &streams(8, 6)), Ok(14));
    for (stdout, stderr) in [(7, 6), (8, 5), (9, 6), (0, 0)] {
        check_streams(KEY, &ended, Extent::Whole, &streams(stdout, stderr)).unwrap_err();
    }
    let mut wrong = streams(8, 6);
    wrong[1][2] ^= 1;
    check_streams(KEY, &ended, Extent::Whole, &wrong).unwrap_err();
    check_streams(KEY + 1, &ended, Extent::Whole, &streams(8, 6)).unwrap_err();
    // KILL may have ended the application after it wrote a piece and before it logged that.
    assert_eq!(check_streams(KEY, &life(""), Extent::Whole, &streams(70, 6)), Ok(76));
}

#[test]
fn the_beginning_of_a_stream_is_right_as_far_as_it_goes() {
    let ended = life("end 7\n");
    let mut with_words = streams(8, 3);
    with_words[1].extend(b"Connection closed");
    assert_eq!(check_streams(KEY, &ended, Extent::Beginning, &with_words), Ok(11));
    assert_eq!(check_streams(KEY, &ended, Extent::Beginning, &streams(0, 0)), Ok(0));
    check_streams(KEY, &ended, Extent::Beginning, &streams(9, 6)).unwrap_err();
    for stream in 0..2 {
        let mut wrong = streams(8, 6);
        wrong[stream][2] = 1;
        check_streams(KEY, &ended, Extent::Beginning, &wrong).unwrap_err();
    }
}

#[test]
fn a_whole_stream_can_have_lines_of_ssh_where_its_link_was_lost() {
    let ended = life("end 7\n");
    let [stdout, stderr] = streams(8, 6);
    let with_line = [&stderr[..4], b"Timeout, server host not responding.\r\n", &stderr[4..]].concat();
    let both = [stdout.clone(), with_line.clone()];
    assert_eq!(check_streams(KEY, &ended, Extent::WholeWithSsh, &both), Ok(14));
    check_streams(KEY, &ended, Extent::Whole, &both).unwrap_err();
    for wrong in [[&with_line[..], b"x"].concat(), with_line[..with_line.len() - 1].to_vec()] {
        check_streams(KEY, &ended, Extent::WholeWithSsh, &[stdout.clone(), wrong]).unwrap_err();
    }
    check_streams(KEY, &ended, Extent::WholeWithSsh, &[with_line, stderr]).unwrap_err();
}

#[test]
fn a_log_file_has_the_pieces_of_both_streams_in_their_order() {
    let piece = |stream: u64, from, count| pattern::bytes(KEY + stream, from, count);
    let whole = [piece(0, 0, 4), piece(1, 0, 4), piece(0, 4, 4), piece(1, 4, 2)].concat();
    let ended = life("end 7\n");
    assert_eq!(check_log_file(KEY, &ended, &whole), Ok(14));
    check_log_file(KEY, &ended, &whole[..13]).unwrap_err();
    check_log_file(KEY, &ended, &streams(8, 6).concat()).unwrap_err();
    // The last piece of an application that KILL ended.
    let longer = [whole.clone(), piece(0, 8, 64), piece(1, 6, 3)].concat();
    assert_eq!(check_log_file(KEY, &life(""), &longer), Ok(81));
    check_log_file(KEY, &ended, &longer).unwrap_err();
    check_log_file(KEY, &life(""), &[whole.as_slice(), b"???"].concat()).unwrap_err();
}
