//! Questions to which each broker knows a part of the answer: all leaders are asked.

use super::{BACKOFF, Later, NetworkClient, REQUEST_TIMEOUT, SILENCE};
use crate::{
    error::{Error, Result},
    rpc::{
        DescribeLogDirsResponse, ListGroupsResponse, MetadataRequest, MetadataResponse, Request, Response,
        Ticket,
    },
    sync::Mutex,
    types::{BrokerId, Instant, OFFSETS_TOPIC},
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
};

/// A question, and who wants to know.
#[derive(Debug)]
pub(super) struct Question {
    request: Request,
    ticket: Ticket<Response>,
    deadline: Instant,
}

/// One try: whoever takes the question out goes on with it, the last answer, the first failure, or the silence.
#[derive(Debug)]
pub(super) struct Round {
    state: Mutex<Parts>,
}

#[derive(Debug)]
struct Parts {
    question: Option<Question>,
    answers: Vec<Response>,
    /// How many brokers have not answered.
    waiting: usize,
}

/// Whether all leaders have to be asked.
pub(super) fn concerns_all(request: &Request) -> bool {
    matches!(request, Request::ListGroups(_) | Request::DescribeLogDirs(_))
}

/// The topics whose leaders are meant; `None`: all.
fn topics(request: &Request) -> Option<Vec<String>> {
    matches!(request, Request::ListGroups(_)).then(|| vec![OFFSETS_TOPIC.to_owned()])
}

/// The whole answer to such a request.
fn whole(request: &Request, answers: Vec<Response>) -> Response {
    if let Request::ListGroups(_) = request {
        let groups = answers.into_iter().flat_map(|answer| match answer {
            Response::ListGroups(ListGroupsResponse { groups }) => groups,
            _ => Vec::new(),
        });
        let groups: BTreeSet<String> = groups.collect();
        return Response::ListGroups(ListGroupsResponse { groups: groups.into_iter().collect() });
    }
    let logs = answers.into_iter().flat_map(|answer| match answer {
        Response::DescribeLogDirs(DescribeLogDirsResponse { logs }) => logs,
        _ => Vec::new(),
    });
    let mut logs: Vec<_> = logs.collect();
    logs.sort_by(|a, b| a.partition.cmp(&b.partition));
    logs.dedup_by(|a, b| a.partition == b.partition);
    Response::DescribeLogDirs(DescribeLogDirsResponse { logs })
}

impl Round {
    fn new(question: Question) -> Arc<Self> {
        let parts = Parts { question: Some(question), answers: Vec::new(), waiting: 0 };
        Arc::new(Self { state: Mutex::new(parts) })
    }

    fn give_up(&self) -> Option<Question> {
        self.state.lock().question.take()
    }

    /// Takes in what a broker has answered; all of it, once the last one has.
    fn take(&self, answer: Response) -> Option<(Question, Response)> {
        let mut state = self.state.lock();
        state.answers.push(answer);
        state.waiting = state.waiting.saturating_sub(1);
        if state.waiting > 0 {
            return None;
        }
        let question = state.question.take()?;
        let whole = whole(&question.request, std::mem::take(&mut state.answers));
        Some((question, whole))
    }

    /// What is asked, if it is not answered yet.
    fn request(&self) -> Option<Request> {
        self.state.lock().question.as_ref().map(|question| question.request.clone())
    }
}

impl NetworkClient {
    pub(super) fn ask_everywhere(&self, request: Request, ticket: Ticket<Response>) {
        let deadline = self.now().plus(REQUEST_TIMEOUT);
        self.ask_all_leaders(Question { request, ticket, deadline });
    }

    pub(super) fn ask_all_leaders(&self, question: Question) {
        let request = MetadataRequest { topics: topics(&question.request) };
        let round = Round::new(question);
        self.at(self.now().plus(4 * SILENCE), Later::RoundSilence(Arc::clone(&round)));
        self.ask_in_round(self.any(), request.into(), &round, |client, round, answer| match answer {
            Response::Metadata(metadata) => client.ask_these_leaders(round, &metadata),
            _ => client.ask_later(round, &Error::LeaderNotAvailable),
        });
    }

    /// Where there are no leaders, there is nothing to tell.
    fn ask_these_leaders(&self, round: &Arc<Round>, metadata: &MetadataResponse) {
        let partitions = metadata.topics.iter().flat_map(|topic| &topic.partitions);
        let leaders: BTreeSet<BrokerId> = partitions.map(|partition| partition.leader).collect();
        if leaders.contains(&BrokerId::NOBODY) {
            return self.ask_later(round, &Error::LeaderNotAvailable);
        }
        let Some(request) = round.request() else { return };
        if leaders.is_empty() {
            if let Some(question) = round.give_up() {
                question.ticket.fill(Ok(whole(&request, Vec::new())));
            }
            return;
        }
        round.state.lock().waiting = leaders.len();
        for leader in leaders {
            self.ask_in_round(leader, request.clone(), round, |_, round, answer| {
                if let Some((question, whole)) = round.take(answer) {
                    question.ticket.fill(Ok(whole));
                }
            });
        }
    }

    fn ask_in_round(
        &self,
        to: BrokerId,
        request: Request,
        round: &Arc<Round>,
        then: impl FnOnce(&Self, &Arc<Round>, Response) + Send + 'static,
    ) {
        let (me, round) = (Weak::clone(&self.me), Arc::clone(round));
        let told = move |answer: Result<Response>| {
            let Some(client) = me.upgrade() else { return };
            match answer {
                Ok(answer) => then(&client, &round, answer),
                Err(error) => {
                    client.avoid(to);
                    client.ask_later(&round, &error);
                }
            }
        };
        self.transport.call(to, request).on_answer(told);
    }

    /// A try has failed, or nobody has answered.
    pub(super) fn ask_later(&self, round: &Round, error: &Error) {
        let Some(question) = round.give_up() else { return };
        let again = self.now().plus(BACKOFF);
        if again < question.deadline && error.is_retriable() {
            self.at(again, Later::AskAll(question));
        } else {
            question.ticket.fill(Err(error.clone()));
        }
    }
}
