"""Who works on a project: members and invitations."""

from __future__ import annotations

import secrets
from datetime import timedelta

from harness.replicas.railway.calls.accounts import Input
from harness.replicas.railway.mailbox import Mail
from harness.replicas.railway.plane import Answers, Call
from harness.replicas.railway.refusals import ApiError, NotFoundError
from harness.replicas.railway.state import Invitation, InviteCode, Member, Project

VALID_FOR = timedelta(days=7)


def project_members(call: Call, project_id: str) -> tuple[Member, ...]:
    seen = call.authority.project(project_id)
    return call.estate.every(Member, project_id=seen.id)


def project_workspace_members(call: Call, project_id: str) -> dict[str, object]:
    seen = call.authority.project(project_id)
    return {
        "project_id": seen.id,
        "project_name": seen.name,
        "workspace_id": seen.workspace_id,
        "members": [call.estate.user],
    }


def project_member_add(call: Call, input: Input) -> Member:
    project = call.authority.project(input["project_id"])
    if call.estate.every(Member, project_id=project.id, user_id=input["user_id"]):
        raise ApiError("User is already a member of this project")
    # The replica knows one account; of others it knows the id only.
    made = call.plane.new_member(
        project, input["user_id"], f"{input['user_id']}@example.com", None, input["role"]
    )
    call.changed(project)
    return made


def project_member_update(call: Call, input: Input) -> Member:
    member = _member(call, input["project_id"], input["user_id"])
    member.role = input["role"]
    return member


def project_member_remove(call: Call, input: Input) -> tuple[Member, ...]:
    member = _member(call, input["project_id"], input["user_id"])
    call.estate.drop(member)
    return call.estate.every(Member, project_id=input["project_id"])


def project_leave(call: Call, id: str) -> bool:
    user = call.authority.account()
    project = call.authority.project(id)
    admins = call.estate.every(Member, project_id=project.id, role="ADMIN")
    if [admin.user_id for admin in admins] == [user.id]:
        raise ApiError("The last admin of a project cannot leave it")
    for member in call.estate.every(Member, project_id=project.id, user_id=user.id):
        call.estate.drop(member)
    call.changed(project)
    return True


def project_invitations(call: Call, id: str) -> tuple[Invitation, ...]:
    project = call.authority.project(id)
    return call.estate.every(Invitation, project_id=project.id)


def project_invitation(call: Call, code: str) -> InviteCode:
    return _code(call, code)


def project_invitation_create(call: Call, id: str, input: Input) -> Invitation:
    project = call.authority.project(id)
    invitation = call.estate.add(
        Invitation(
            project_id=project.id,
            email=input["email"],
            role=input["role"],
            expires_at=call.now + VALID_FOR,
            created_at=call.now,
        )
    )
    code = _code_for(call, project, invitation.role).code
    _mail(call, project, invitation.email, f"Accept with the code {code}.")
    call.changed(project)
    return invitation


def project_invitation_resend(call: Call, id: str) -> Invitation:
    invitation = _invitation(call, id)
    invitation.expires_at = call.now + VALID_FOR
    return invitation


def project_invitation_delete(call: Call, id: str) -> bool:
    call.estate.drop(_invitation(call, id))
    return True


def project_invitation_accept(call: Call, code: str) -> dict[str, str]:
    user = call.authority.account()
    invite = _code(call, code)
    project = call.estate.get(Project, invite.project_id)
    member = next(iter(call.estate.every(Member, project_id=project.id, user_id=user.id)), None)
    if member is None:
        member = call.plane.new_member(project, user.id, user.email, user.name, invite.role)
    call.changed(project)
    return {"id": member.id, "project_id": project.id, "role": member.role, "user_id": user.id}


def project_invite_code(call: Call, project_id: str, role: str) -> InviteCode:
    return _code_for(call, call.authority.project(project_id), role)


def project_invite_user(call: Call, id: str, input: Input) -> bool:
    project = call.authority.project(id)
    _mail(call, project, input["email"], f"Follow {input['link']}.")
    call.changed(project)
    return True


def _code_for(call: Call, project: Project, role: str) -> InviteCode:
    found = call.estate.every(InviteCode, project_id=project.id, role=role)
    if found:
        return found[0]
    return call.estate.add(
        InviteCode(project_id=project.id, code=secrets.token_urlsafe(8), role=role, created_at=call.now)
    )


def _code(call: Call, code: str) -> InviteCode:
    found = call.estate.every(InviteCode, code=code)
    if not found or call.estate.find(Project, found[0].project_id) is None:
        raise NotFoundError("Invitation")
    return found[0]


def _invitation(call: Call, id: str) -> Invitation:
    invitation = call.estate.find(Invitation, id)
    if invitation is None:
        raise NotFoundError("Invitation")
    call.changed(call.authority.project(invitation.project_id))
    return invitation


def _member(call: Call, project_id: str, user_id: str) -> Member:
    project = call.authority.project(project_id)
    found = call.estate.every(Member, project_id=project.id, user_id=user_id)
    if not found:
        raise NotFoundError("Member")
    call.changed(project)
    return found[0]


def _mail(call: Call, project: Project, to: str, text: str) -> None:
    mail = Mail(call.now, to, f"You are invited to the project {project.name}", f"{text}\n")
    call.plane.mailbox.append(mail)


QUERIES: Answers = {
    "projectMembers": project_members,
    "projectWorkspaceMembers": project_workspace_members,
    "projectInvitation": project_invitation,
    "projectInvitations": project_invitations,
    "projectInviteCode": project_invite_code,
}
MUTATIONS: Answers = {
    "projectMemberAdd": project_member_add,
    "projectMemberUpdate": project_member_update,
    "projectMemberRemove": project_member_remove,
    "projectLeave": project_leave,
    "projectInvitationCreate": project_invitation_create,
    "projectInvitationResend": project_invitation_resend,
    "projectInvitationDelete": project_invitation_delete,
    "projectInvitationAccept": project_invitation_accept,
    "projectInviteUser": project_invite_user,
}
